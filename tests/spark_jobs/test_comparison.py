"""Runs side by side: what is averaged, and when one is called best."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segments.errors import ContractBroken, UsageError
from spark_jobs.comparison import METRICS, compare, winner
from spark_jobs.evaluation.seeds import bootstrap_interval, difference_interval, mean_interval
from spark_jobs.experiment_settings import Experiment
from spark_jobs.sweep import expanded


def a_run(
    folder: Path, values: list[float], *, dim: int, clicks: int = 9, wide: float = 0.01,
    before: dict[str, float] | None = None,
) -> Path:  # fmt: skip
    folder.mkdir(parents=True)
    seeds = list(range(len(values)))
    mean = sum(values) / len(values)
    spread = {key: [mean - wide, mean + wide] for key in METRICS}
    report = {
        "run": "r", "shelf": "product", "visits": 5, "clicks": clicks, "candidates": 3, "default_variant": "B",
        "metrics": {"B": {**dict.fromkeys(METRICS, mean), "intervals": spread}},
        "seeds": [{"seed": s, "metrics": {"B": dict.fromkeys(METRICS, v)},
                   "training": {"parameters": 10.0 * dim, **(before or {})}}
                  for s, v in zip(seeds, values, strict=True)],
        "seconds": {"train": 2.0, "judge": 1.0},
    }  # fmt: skip
    said = Experiment.of({"name": folder.name, "model": {"dim": dim}, "training": {"seed": 1}, "seeds": seeds})
    (folder / "metrics.json").write_text(json.dumps(report))
    (folder / "experiment.yaml").write_text(said.to_yaml())
    return folder


def test_intervals_by_hand() -> None:
    found = mean_interval([0.60, 0.62, 0.64])
    # t(0.975; 2) = 4.3027, s = 0.02, n = 3
    assert (found.low, found.high) == pytest.approx(
        (0.62 - 4.3027 * 0.02 / 3**0.5, 0.62 + 4.3027 * 0.02 / 3**0.5), abs=1e-5
    )
    assert mean_interval([0.5]).low != mean_interval([0.5]).low, "one value has no spread"
    same = difference_interval([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])
    # Equal variances and sizes: Welch's degrees of freedom are 4, t = 2.7764.
    assert (same.value, same.high - same.value) == pytest.approx((3.0, 2.7764 * (2 / 3) ** 0.5), abs=1e-4)
    boot = bootstrap_interval([0.60, 0.62, 0.64])
    assert found.low < boot.low < 0.62 < boot.high < found.high


def test_seeds_of_one_configuration_are_one_line_and_the_best_is_marked_beyond_chance(tmp_path: Path) -> None:
    runs = [
        a_run(tmp_path / "a-s1", [0.700], dim=4), a_run(tmp_path / "a-s2", [0.702], dim=4),
        a_run(tmp_path / "b", [0.800, 0.801, 0.802], dim=8),
    ]  # fmt: skip
    report = compare(runs)
    assert [(row["name"], len(row["folders"])) for row in report["rows"]] == [("a-s1", 2), ("b", 1)]
    low, high = report["rows"]
    assert low["gauc"]["value"] == pytest.approx(0.701)
    assert (low["parameters"], high["parameters"], low["seconds"]) == (40, 80, 6.0)
    assert low["best"] == []
    assert high["best"] == list(METRICS)


def test_a_lead_within_the_noise_is_no_lead(tmp_path: Path) -> None:
    near = [a_run(tmp_path / "a", [0.70, 0.74, 0.66], dim=4), a_run(tmp_path / "b", [0.71, 0.75, 0.67], dim=8)]
    assert [row["best"] for row in compare(near)["rows"]] == [[], []]
    single = [a_run(tmp_path / "c", [0.70], dim=4, wide=0.02), a_run(tmp_path / "d", [0.73], dim=8, wide=0.02)]
    assert [row["best"] for row in compare(single)["rows"]] == [[], []], "intervals over people overlap"
    apart = [a_run(tmp_path / "e", [0.70], dim=4), a_run(tmp_path / "f", [0.73], dim=8)]
    assert compare(apart)["rows"][1]["best"] == list(METRICS)


def test_runs_of_other_visits_cannot_be_compared(tmp_path: Path) -> None:
    runs = [a_run(tmp_path / "a", [0.7], dim=4), a_run(tmp_path / "b", [0.7], dim=8, clicks=10)]
    with pytest.raises(ContractBroken, match="same visits"):
        compare(runs)
    with pytest.raises(UsageError, match="unknown variant"):
        compare(runs[:1], variant="C")


def test_a_sweep_stands_for_its_trials(tmp_path: Path) -> None:
    made = [a_run(tmp_path / "sweep" / name, [0.7], dim=4) for name in ("x", "y")]
    assert expanded([tmp_path / "sweep", made[0]]) == [*made, made[0]]
    with pytest.raises(UsageError, match="no finished run"):
        expanded([tmp_path])


def test_the_days_before_the_clock_choose(tmp_path: Path) -> None:
    runs = [
        a_run(tmp_path / "a", [0.70, 0.72], dim=4, before={"gauc": 0.9, "logloss": 0.3}),
        a_run(tmp_path / "b", [0.80, 0.82], dim=8, before={"gauc": 0.8, "logloss": 0.2}),
    ]
    rows = compare(runs)["rows"]
    chosen = winner(rows, "gauc")
    assert chosen is not None
    assert (chosen["name"], chosen["before"]["value"]) == ("a", 0.9)
    assert chosen["after"]["gauc"]["value"] == pytest.approx(0.71)
    lowest = winner(rows, "logloss")
    assert lowest is not None
    assert lowest["name"] == "b"
    bare = compare([a_run(tmp_path / "c", [0.9, 0.9], dim=2)])["rows"]
    assert bare[0]["before"] == {}
    assert winner(bare, "gauc") is None
