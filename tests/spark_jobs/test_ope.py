"""`es-ranking ope` on files: truth found, streaming equal to the whole, every bad input one line and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cli.main import exit_code_of
from segments.errors import Refused
from spark_jobs.ope import evaluate
from tests.spark_jobs.evaluation.ope.worlds import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(segments=40, places=2, items=4, seed=1)


@pytest.fixture
def frames(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    return _frames(world)


def _frames(world: World, requests: int = 4000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A log and the world's target policy, rows of both in no order."""
    drawn, (_, places, items) = world.draw(requests, seed=7), world.rate.shape
    request, place = (each.ravel() for each in np.indices((requests, places)))
    log = pd.DataFrame(
        {"request_id": [f"r{n}" for n in request], "item": [f"i{n}" for n in drawn["item"].ravel()],
         "position": place + 1, "reward": drawn["reward"].ravel(), "propensity": drawn["propensity"].ravel(),
         "run": "monday", "segment": [f"s{n}" for n in drawn["segment"][request]]}
    )  # fmt: skip
    request, place, item = (each.ravel() for each in np.indices((requests, places, items)))
    policy = pd.DataFrame(
        {"request_id": [f"r{n}" for n in request], "item": [f"i{n}" for n in item], "position": place + 1,
         "probability": world.target[drawn["segment"][request], place, item]}
    )  # fmt: skip
    return log.sample(frac=1, random_state=1), policy.sample(frac=1, random_state=2)


def _written(folder: Path, log: pd.DataFrame, policy: pd.DataFrame) -> tuple[Path, Path]:
    paths = folder / "log.parquet", folder / "policy.parquet"
    log.to_parquet(paths[0], row_group_size=1000, index=False)
    policy.to_parquet(paths[1], row_group_size=1000, index=False)
    return paths


def test_the_truth_is_found_and_the_keys_are_the_documented_ones(
    world: World, frames: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, policy = _written(tmp_path, *frames)
    assert exit_code_of(["ope", "--log", str(log), "--policy", str(policy), "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["requests"], told["positions"], told["clusters"]) == (8000, 4000, 2, 40)
    assert (told["cluster_by"], told["unsupported"]["log"]) == (["run", "segment"], 0.0)
    assert not any("mean weight" in warning for warning in told["warnings"])
    assert set(told["estimators"]) == {
        "ipw-clipped", "snipw", "iips", "rips", "ips", "cascade-dr", "dm", "dr", "sndr", "switch-dr", "dr-os"
    }  # fmt: skip
    truth = world.value(world.target)
    for name in ("iips", "rips", "ips", "cascade-dr", "snipw", "dr", "sndr", "dm"):
        each = told["estimators"][name]
        assert each["low"] <= truth <= each["high"], name
        assert each["gain"]["value"] == pytest.approx(each["value"] - told["logged"]["value"])
    dr, iips = (told["estimators"][name] for name in ("dr", "iips"))
    assert dr["high"] - dr["low"] < iips["high"] - iips["low"], "a fitted model takes noise away"
    assert dr["effective_sample_size"] < 8000
    assert dr["largest_weight"] > 2


def test_streaming_gives_what_the_whole_gives(frames: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    log, policy = _written(tmp_path, *frames)
    small, whole = (evaluate(log, policy, draws=100, batch_rows=rows) for rows in (777, 1 << 20))
    for name, each in whole["estimators"].items():
        for key in ("value", "low", "high"):
            assert small["estimators"][name][key] == pytest.approx(each[key], abs=1e-12)
    log.unlink()
    frames[0].sort_values(["request_id"]).to_csv(tmp_path / "log.csv", index=False)
    assert evaluate(tmp_path / "log.csv", policy, draws=100)["estimators"]["dr"]["value"] == pytest.approx(
        whole["estimators"]["dr"]["value"], abs=1e-12
    )


def test_one_place_and_context_columns(tmp_path: Path) -> None:
    """Clicks that hang on an hour of the day: with it the model errs less. Without run and segment, a warning."""
    world = World(segments=2, items=3, seed=4)
    log, policy = _frames(world)
    log = log.rename(columns={"segment": "hour"}).drop(columns="run")
    paths = _written(tmp_path, log, policy)
    plain, told = evaluate(*paths, draws=200), evaluate(*paths, context=["hour"], draws=200)
    assert {"ipw", "snipw", "dr"} <= set(told["estimators"])
    assert "iips" not in told["estimators"]
    assert told["cluster_by"] == ["request_id"]
    assert [warning.split()[0] for warning in told["warnings"]] == ["replay", "no"]
    truth = world.value(world.target)
    assert abs(told["estimators"]["dm"]["value"] - truth) < abs(plain["estimators"]["dm"]["value"] - truth)


def test_kinds_of_items(tmp_path: Path) -> None:
    """Thirty items of two brands whose clicks hang on the brand: the brand's weights are small and right."""
    world = World(segments=40, items=30, kinds=2, seed=4)
    world.rate *= 0.2
    log, policy = _frames(world)
    log["brand"] = "b" + (log["item"].str[1:].astype(int) % 2).astype(str)
    paths = _written(tmp_path, log, policy)
    assert "mips" not in evaluate(*paths, draws=200, unsupported=1)["estimators"]
    told = evaluate(*paths, draws=200, embedding=["brand"], unsupported=1)["estimators"]
    assert told["mips"]["low"] <= world.value(world.target) <= told["mips"]["high"]
    assert told["mips"]["high"] - told["mips"]["low"] < 0.8 * (told["ipw"]["high"] - told["ipw"]["low"])
    assert told["mips"]["largest_weight"] < 0.3 * told["ipw"]["largest_weight"]


def _change(frame: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    changed = frame.copy()
    changed.iloc[3, list(frame.columns).index(column)] = value
    return changed


BAD: dict[str, tuple[Any, Any, int, str]] = {
    "empty log": (lambda f: f.iloc[:0], None, 3, "the log is empty"),
    "zero rewards": (lambda f: f.assign(reward=0.0), None, 3, "no reward at all"),
    "no propensity column": (lambda f: f.drop(columns="propensity"), None, 4, "no column propensity"),
    "missing propensity": (lambda f: _change(f, "propensity", np.nan), None, 4, "propensity is missing"),
    "propensity 0": (lambda f: _change(f, "propensity", 0.0), None, 4, "1 propensities are not above 0"),
    "propensity above 1": (lambda f: _change(f, "propensity", 1.5), None, 4, "such as 1.5"),
    "missing reward": (lambda f: _change(f, "reward", np.nan), None, 4, "reward is missing"),
    "missing item": (lambda f: _change(f, "item", None), None, 4, "item is missing in 1 rows"),
    "duplicate log rows": (lambda f: pd.concat([f, f.iloc[:1]]), None, 4, "same request_id and position"),
    "few clusters": (lambda f: f.assign(segment="s"), None, 3, "1 clusters are too few"),
    "unknown request": (lambda f: f, lambda p: _change(p, "request_id", "r9999"), 4, "request r9999, which the log"),
    "unknown place": (lambda f: f, lambda p: _change(p, "position", 3), 4, "has no position 3"),
    "probability above 1": (lambda f: f, lambda p: _change(p, "probability", 1.5), 4, "not in 0 … 1: 1.5"),
    "duplicate policy rows": (lambda f: f, lambda p: pd.concat([p, p]), 4, "do not sum to 1, such as 2"),
    "policy without a request": (lambda f: f, lambda p: p[p["request_id"] != "r5"], 4, "of 2 of 8000 logged places"),
    "never shown": (lambda f: f, lambda p: p.assign(item=p["item"].replace("i0", "new")), 3, "never shows there"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(
    name: str, frames: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_log, change_policy, code, wanted = BAD[name]
    log, policy = _written(tmp_path, change_log(frames[0]), (change_policy or (lambda p: p))(frames[1]))
    assert exit_code_of(["ope", "--log", str(log), "--policy", str(policy)]) == code
    said = capsys.readouterr()
    assert wanted in said.err
    assert (said.out, len(said.err.strip().splitlines())) == ("", 1)


@pytest.mark.parametrize(
    ("text", "code", "wanted"),
    [
        ("request_id,item,position,reward,propensity\n", 3, "the log is empty"),
        ("request_id,item,position,reward,propensity\nr,i,1,x,0.5\n", 4, "conversion error"),
        ("", 4, "Empty CSV file"),
    ],
)
def test_bad_csv(text: str, code: int, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text(text, encoding="utf-8")
    assert exit_code_of(["ope", "--log", str(log), "--policy", str(log)]) == code
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--context", "--embedding"])
def test_a_column_that_is_not_there(
    option: str, frames: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, policy = _written(tmp_path, *frames)
    assert exit_code_of(["ope", "--log", str(log), "--policy", str(policy), option, "segmet"]) == 2
    assert "segment" in capsys.readouterr().err


def test_wrong_propensities_are_told_by_the_mean_weight(
    frames: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    log, policy = _written(tmp_path, frames[0].assign(propensity=frames[0]["propensity"] / 2), frames[1])
    told = evaluate(log, policy, draws=200)
    assert told["mean_weight"]["value"] == pytest.approx(2, abs=0.2)
    assert "the mean weight is" in told["warnings"][-1]


def test_what_a_segment_never_saw_is_missing_support_there(tmp_path: Path) -> None:
    """Half the segments never see i0, others do: the log as a whole shows it, and yet nothing can be concluded."""
    world = World(segments=40, items=4, seed=1)
    world.logging[::2, :, 0] = 0.0
    world.logging /= world.logging.sum(2, keepdims=True)
    with pytest.raises(Refused, match="never shows there"):
        evaluate(*_written(tmp_path, *_frames(world)), draws=200)
