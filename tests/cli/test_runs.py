"""`runs`, `backfill`, `retain`, `alarm` and `diff` as they are typed: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from segments.errors import Refused
from spark_jobs import nightly
from spark_jobs.attempts import Recorder
from spark_jobs.night import Night
from tests.es_ranking.publish.shop import NIGHT, Publisher
from tests.spark_jobs.test_retention import NIGHTS, Store

NEXT_NIGHT = "20171128T000000"
AS_OF = "2017-11-27T"


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    found = exit_code_of([*arguments, "--output", "json"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    assert "Traceback" not in captured.err
    return json.loads(captured.out)


def fail(folder: Path) -> None:
    with Recorder(folder, ["ingest", "train"], "world") as attempt:
        attempt.begins("ingest")
        raise Refused("no events")


def test_runs_and_their_attempts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ("--work", str(tmp_path))
    assert told(capsys, "runs", *places) == []
    for run in (NIGHT, NEXT_NIGHT):
        with pytest.raises(Refused):
            fail(tmp_path / run)
    with Recorder(tmp_path / NIGHT, ["ingest"], "world"):
        pass
    first, second = told(capsys, "runs", *places)
    assert (first["run"], first["outcome"], first["attempts"]) == (NIGHT, "finished", 2)
    assert (second["outcome"], second["step"], second["exit_code"], second["error"]) == (
        "failed", "ingest", 3, "no events"
    )  # fmt: skip
    assert [row["run"] for row in told(capsys, "runs", "--last", "1", *places)] == [NEXT_NIGHT]
    assert [row["outcome"] for row in told(capsys, "runs", NIGHT, *places)] == ["failed", "finished"]
    assert exit_code_of(["runs", "20160101T000000", *places]) == 2
    assert exit_code_of(["runs", *places]) == 0
    shown = capsys.readouterr().out
    assert "failed in ingest" in shown
    assert "no events" in shown


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What would have been run (run, number of steps); the night of the 22nd refuses."""
    found: list[tuple[str, int]] = []

    def run_night(night: Night, steps: tuple[str, ...], **_: Any) -> None:
        if night.run == NIGHTS[2] and len(found) < 3:
            raise Refused("there are no events", hint="wait")
        found.append((night.run, len(steps)))

    monkeypatch.setattr(nightly, "run_night", run_night)
    monkeypatch.setattr("spark_jobs.session.spark_session", lambda _: None)
    return found


def test_a_backfill_stops_at_the_first_failure_and_goes_on_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ran: list[tuple[str, int]]
) -> None:
    store = Store(tmp_path)
    store.night(NIGHTS[0])
    store.keep(NIGHTS[0], "models/banner/checkpoint.json")
    arguments = ["backfill", "2017-11-20", "2017-11-23", "--source", "world", "--no-publish",
                 "--warehouse", str(store.root), "--work", str(store.work)]  # fmt: skip
    rows = told(capsys, *arguments, "--dry-run")
    assert [row["outcome"] for row in rows] == ["skipped", "planned", "planned", "planned"]
    assert (rows[0]["why"], rows[0]["steps"]) == ("whole", [])
    assert rows[1]["why"] == "has not run"
    assert ran == []
    rows = told(capsys, *arguments, code=3)
    assert [row["outcome"] for row in rows] == ["skipped", "finished", "failed", "planned"]
    assert ran == [(NIGHTS[1], len(nightly.NIGHTLY) - 1)]
    ran += [("more", 0), ("more", 0)]
    rows = told(capsys, *arguments)
    assert [row["outcome"] for row in rows] == ["skipped", "finished", "finished", "finished"]
    assert exit_code_of(["backfill", "2017-11-23", "2017-11-20", "--source", "world", "--no-publish"]) == 2


def test_a_backfill_that_would_publish_asks_the_engine_first(
    engine: Engine, engine_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[tuple[str, int]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = ["backfill", "2017-11-20", "2017-11-21", "--source", "world", "--warehouse", str(tmp_path), "--dry-run"]
    monkeypatch.setenv("ES_URL", engine_url)
    assert len(told(capsys, *arguments)) == 2
    monkeypatch.setenv("ES_URL", "http://127.0.0.1:1")
    assert exit_code_of(arguments) == 5
    assert ran == []


def test_retain_says_what_and_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    for night in NIGHTS[:3]:
        store.night(night)
    arguments = ["retain", "--keep-nights", "2", "--unpublished", "--warehouse", str(store.root),
                 "--work", str(store.work)]  # fmt: skip
    planned = told(capsys, *arguments, "--dry-run")
    assert [(row["run"], row["fate"]) for row in planned["runs"]] == [
        (NIGHTS[0], "goes"), (NIGHTS[1], "stays"), (NIGHTS[2], "stays")
    ]  # fmt: skip
    assert (planned["done"], store.tables.runs("ranks")) == (False, NIGHTS[:3])
    done = told(capsys, *arguments)
    assert (done["done"], done["bytes"]) == (True, planned["bytes"])
    assert done["bytes"] > 10_000
    assert store.tables.runs("ranks") == NIGHTS[1:3]
    assert exit_code_of(["retain", "--keep-nights", "0"]) == 2


def test_retain_asks_the_engine(
    tmp_path: Path, engine_url: str, published: Publisher, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    store = Store(tmp_path)
    for night in NIGHTS[:3]:
        store.night(night)
    published(NIGHTS[0])
    arguments = ["retain", "--keep-nights", "1", "--warehouse", str(store.root), "--work", str(store.work)]
    monkeypatch.setenv("ES_URL", "http://127.0.0.1:1")
    assert exit_code_of(arguments) == 5
    assert store.tables.runs("ranks") == NIGHTS[:3]
    capsys.readouterr()
    monkeypatch.setenv("ES_URL", engine_url)
    rows = told(capsys, *arguments)["runs"]
    assert "generation" in next(row["why"] for row in rows if row["run"] == NIGHTS[0])


def test_the_alarm(
    engine_url: str, index_name: str, published: Publisher, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("ES_URL", engine_url)
    assert told(capsys, "alarm", index_name, code=3)[0]["state"] == "not published"
    published(NIGHT)
    (row,) = told(capsys, "alarm", index_name, "--as-of", f"{AS_OF}23:00:00", "--max-age-hours", "24")
    assert (row["age_hours"], row["state"]) == (23.0, "ok")
    late = ("alarm", index_name, "--as-of", "2017-11-28T01:00:00", "--max-age-hours", "24")
    assert told(capsys, *late, code=3)[0]["state"] == "too old"
    assert told(capsys, "alarm", index_name, code=3)[0]["age_hours"] > 24, "the machine's clock"
    assert exit_code_of([*late]) == 3
    assert f"{index_name} is too old" in capsys.readouterr().err


def test_diff(
    engine_url: str, index_name: str, published: Publisher, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("ES_URL", engine_url)
    first = published(NIGHT).generation
    assert exit_code_of(["diff", index_name]) == 3
    capsys.readouterr()
    second = published(NEXT_NIGHT, turn=2).generation
    found = told(capsys, "diff", index_name, "--top", "3")
    assert (found["old"], found["new"], found["variant"], found["top"]) == (first, second, "B", 3)
    assert [one["segment"] for one in found["segments"]] == ["all", "d_young", "d_old"]
    assert (found["segments_gone"], found["segments_new"]) == ([], [])
    assert found["segments"][0]["risers"][0] == {"item": "i038", "title": "Item 38", "before": 39, "after": 1}
    (same,) = told(capsys, "diff", index_name, second, second, "--variant", "A")["segments"]
    assert same["rbo"] == pytest.approx(1.0)
    # Of 40 items a third is of category C0: i000 i003 … i039, of which i039 came to the front.
    (soup,) = told(capsys, "diff", index_name, "--segment", "all", "--category", "FOOD>C0", "--top", "2")["segments"]
    assert [(move["item"], move["before"], move["after"]) for move in soup["risers"]] == [("i039", 14, 1)]
    assert told(capsys, "diff", index_name, "--segment", "all", "--list", "DRINKS")["segments"][0]["stay"] is None
    assert exit_code_of(["diff", index_name]) == 0
    assert exit_code_of(["diff", index_name, "--segment", "all", "--top", "3"]) == 0
    shown = capsys.readouterr().out
    assert "overlap" in shown
    assert "i038" in shown
    assert exit_code_of(["diff", index_name, "--segment", "d_none"]) == 2
