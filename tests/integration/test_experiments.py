"""`models train` on a whole night of the generated world: the night's own model is judged as the night judges it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import exit_code_of
from spark_jobs.nightly import JUDGE, run_night
from tests.integration.nights import FIRST, RECIPE, Published


def told(capsys: pytest.CaptureFixture[str], night: Published, *arguments: str) -> tuple[int, str, str]:
    places = ("--warehouse", night.night.root, "--work", str(night.night.work))
    clock = ("--source", str(RECIPE), "--run-date", f"{FIRST:%Y-%m-%d}")
    code = exit_code_of(["models", "train", *clock, *places, *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_recipes_own_model_gets_the_nights_own_figures(
    published_night: Published, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    night = published_night.night
    run_night(night, JUDGE)
    wanted = json.loads((night.folder("evaluation") / "metrics.json").read_text())["kinds"]["product"]
    code, out, err = told(capsys, published_night, "--output", "json")
    assert code == 0, err
    report = json.loads(out)
    for key in ("visits", "users", "clicks", "impressions", "candidates"):
        assert report[key] == wanted[key] > 0
    assert set(report["metrics"]) == {"A", "B0", "B2", "product_rate"}
    for name, values in report["metrics"].items():
        for key in ("gauc", "auc", "hit_ratio@20", "recall@20", "ndcg@20", "coverage", "entropy"):
            assert values[key] == pytest.approx(wanted["metrics"][name][key], abs=1e-6), (name, key)
            assert values["intervals"][key] == pytest.approx(wanted["metrics"][name]["intervals"][key], abs=1e-6)
        for other, gaps in values["differences"].items():
            assert gaps["gauc"] == pytest.approx(wanted["metrics"][name]["differences"][other]["gauc"], abs=1e-6)
    for name in ("B0", "B2"):
        assert report["calibration"][name]["ratio"] == pytest.approx(wanted["calibration"][name]["ratio"], rel=1e-5)

    # Another model of the same tables, by a file, as a table for people.
    (tmp_path / "towers.yaml").write_text(
        "model: {kind: two_tower, dim: 4, hidden: [8], out: 4}\nfields: {drop: [age_days]}\nname: towers\n",
        encoding="utf-8",
    )
    code, out, err = told(capsys, published_night, "--config", str(tmp_path / "towers.yaml"))
    assert code == 0, err
    first = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert [word for word in first if word in report["metrics"]] == list(report["metrics"])
    found = json.loads((night.folder("experiments") / "towers" / "metrics.json").read_text())
    assert found["model"] == "two_tower"
    assert "age_days" not in found["fields"]
    assert found["metrics"]["product_rate"]["gauc"] == report["metrics"]["product_rate"]["gauc"]
    assert found["metrics"]["B2"]["gauc"] != report["metrics"]["B2"]["gauc"]
    assert not (night.folder("models") / "experiments").exists()
