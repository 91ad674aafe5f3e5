"""Every attempt leaves its outcome: one that finished, failed, was interrupted, was killed, or still runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from segments.errors import Refused
from spark_jobs import nightly
from spark_jobs.attempts import FOLDER, Recorder, attempts_of
from spark_jobs.hour_base import HourBase
from spark_jobs.night import Night, parse_clock
from spark_jobs.nightly import run_night
from spark_jobs.recipe import load_recipe
from spark_jobs.run_history import history

RUN = "20171127T000000"


def night_in(work: Path) -> Night:
    return Night(cast("Any", None), load_recipe("world"), parse_clock("2017-11-27", None), "nowhere", work)


def only(work: Path) -> dict[str, Any]:
    (row,) = history(work)
    return row


def test_a_night_that_finishes_and_one_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble: list[BaseException] = [
        ValueError("a long\nstory"), Refused("too few clicks", where="train", hint="wait"), KeyboardInterrupt()
    ]  # fmt: skip

    def step(name: str) -> Any:
        def run(_: Night) -> dict[str, object]:
            if name == "train" and trouble:
                raise trouble.pop(0)
            return {"ingest": {"rows_out": {"events": 7}}, "filter_lures": {"rows_out": 9}}.get(name, {})

        return run

    monkeypatch.setattr(nightly, "step_named", step)
    night, steps = night_in(tmp_path), ("ingest", "train", "filter_lures")
    for told in (("failed", 1, "ValueError: a long"), ("failed", 3, "too few clicks (train). Hint: wait"),
                 ("interrupted", 130, "KeyboardInterrupt")):  # fmt: skip
        with pytest.raises((ValueError, Refused, KeyboardInterrupt)):
            run_night(night, steps)
        row = only(tmp_path)
        assert (row["outcome"], row["exit_code"], row["error"]) == told
        assert (row["run"], row["step"], row["events"], row["ranks"]) == (RUN, "train", 7, None)
    run_night(night, steps)
    row = only(tmp_path)
    assert (row["outcome"], row["exit_code"], row["error"], row["step"]) == ("finished", 0, "", "")
    assert (row["kind"], row["ranks"], row["attempts"]) == ("nightly", 9, 4)
    attempts = [attempt.to_dict() for attempt in attempts_of(tmp_path / RUN)]
    assert [attempt["done"] for attempt in attempts] == [["ingest"]] * 3 + [list(steps)]
    assert all(attempt["changed"].endswith("+00:00") for attempt in attempts)


KILLED = """
import os, signal, sys
from pathlib import Path
from spark_jobs.attempts import Recorder
with Recorder(Path(sys.argv[1]), ["ingest", "train"], "world") as attempt:
    attempt.begins("ingest")
    attempt.begins("train")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_says_where(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / RUN)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    row = only(tmp_path)
    assert (row["outcome"], row["step"], row["exit_code"]) == ("killed", "train", None)
    (attempt,) = attempts_of(tmp_path / RUN)
    assert attempt.done == ["ingest"]


def test_one_that_runs_and_one_of_another_machine(tmp_path: Path) -> None:
    with Recorder(tmp_path / RUN, ["score"], "world") as recorder:
        recorder.begins("score")
        row = only(tmp_path)
        assert (row["outcome"], row["step"], row["kind"]) == ("running", "score", "steps")
        (path,) = (tmp_path / RUN / FOLDER).glob("*.json")
        kept = json.loads(path.read_text())
        path.write_text(json.dumps({**kept, "host": "elsewhere"}))
        assert only(tmp_path)["outcome"] == "unknown"
    assert only(tmp_path)["outcome"] == "finished"
    # Half a file, or somebody else's: the others are still told.
    (tmp_path / RUN / FOLDER / "torn.json").write_text('{"steps": [')
    (tmp_path / RUN / FOLDER / "other.json").write_text('{"what": 1}')
    assert only(tmp_path)["attempts"] == 1


def test_generations_are_those_the_run_has_made(tmp_path: Path) -> None:
    hour = "20171127T010000"
    generation = f"shop-{RUN.lower()}-2"
    for run, step in ((RUN, "publish"), (hour, "publish_changes")):
        with Recorder(tmp_path / run, [step], "world"):
            pass
        (tmp_path / run / "steps").mkdir()
        told = {"product": {"generation": generation}, "seconds": 1.0}
        (tmp_path / run / "steps" / f"{step}.json").write_text(json.dumps(told))
    HourBase(RUN, {"product": RUN}).write(tmp_path, hour)
    (tmp_path / "promoted").mkdir()
    night, later = history(tmp_path)
    assert (night["kind"], night["generations"]) == ("steps", [generation])
    assert (later["kind"], later["generations"]) == ("hourly", [])


def test_a_night_that_took_an_hours_clock_tells_its_own_events(tmp_path: Path) -> None:
    with Recorder(tmp_path / RUN, ["ingest"], "world") as attempt:
        attempt.begins("ingest")
    (tmp_path / RUN / "steps").mkdir()
    for step, told in (("catch_up", {"events": 3}), ("ingest", {"rows_out": {"events": 70}})):
        (tmp_path / RUN / "steps" / f"{step}.json").write_text(json.dumps(told))
    assert (history(tmp_path)[0]["kind"], history(tmp_path)[0]["events"]) == ("nightly", 70)
    HourBase(RUN, {"product": RUN}).write(tmp_path, RUN)
    assert (history(tmp_path)[0]["kind"], history(tmp_path)[0]["events"]) == ("hourly", 3)


def test_a_full_disk_does_not_hide_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def run() -> None:
        with Recorder(tmp_path / RUN, ["score"], "world"):
            monkeypatch.setattr("spark_jobs.attempts.write_whole", full)
            raise Refused("the reason")

    with pytest.raises(Refused, match="the reason"):
        run()
    assert "No space left" in caplog.text
