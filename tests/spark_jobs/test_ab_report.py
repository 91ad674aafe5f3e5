"""An A/B test from its two logs to its report: counts by hand, a planted effect found, bad input refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cli.main import exit_code_of
from spark_jobs.ab_logs import AbLogs, read_ab_logs
from tests.spark_jobs.ab_world import START, event, exposure, many, write


def by_user(logs: AbLogs, name: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for row, value in enumerate(logs.counts[name]):
        key = (logs.users[logs.user[row]], logs.variants[logs.variant[row]])
        found[key] = found.get(key, 0.0) + float(value)
    return {key: value for key, value in found.items() if value}


def test_events_find_their_view(spark: SparkSession, tmp_path: Path) -> None:
    later = (START + timedelta(hours=2)).isoformat()
    shown = write(tmp_path / "shown.jsonl", [
        exposure("r1", "ann", "p1", "A"), exposure("r1", "ann", "p2", "A", position=2),
        exposure("r1", "ann", "p2", "A", position=2),
        exposure("r2", "ann", "p1", "A", ts=later),
        exposure("r3", "bob", "p1", "B"), exposure("r3", "bob", "p9", "B", position=21),
        exposure("r4", "boss", "p1", "B", forced=True), exposure("r5", "eve", "p1", "B", experiment="other"),
        exposure("r6", None, "p3", "B"),
        '{"ts": "2026-11-02T08:00:00+00:00", "request_id": "r7"', {"request_id": "r8"},
    ])  # fmt: skip
    happened = write(tmp_path / "log" / "events-1.jsonl", [
        event("ann", "p1", "click", request_id="r1"), event("ann", "p1", "click", request_id="r1"),
        event("ann", "p1", "click", request_id="r1", minutes=2),
        event("ann", "p1", "click", minutes=121), event("ann", "p2", "click", minutes=122),
        event("ann", "p7", "click", request_id="r1"),
        event("ann", "p2", "purchase", minutes=50, value=2.5), event("ann", "p7", "purchase", minutes=50, value=4.0),
        event("ann", "p7", "purchase", minutes=500, value=1.0),
        event("ann", "p1", "purchase", minutes=130, value=50.0, request_id="a view of another page"),
        event("bob", "p9", "click", request_id="r3"), event("bob", "p1", "save", request_id="r3"),
        event("bob", "p1", "dwell", request_id="r3", dwell_ms=1500), event("bob", "p1", "impression", request_id="r3"),
        event("ann", "p2", "scroll", request_id="r1", position=2), event("ann", "p1", "impression", position=1),
        event("ann", "p1", "impression", request_id="r2", position=0),
        event("bob", "p9", "impression", request_id="r3", position=21),
        event("bob", "p1", "purchase", minutes=60 * 24 * 8, value=99.0), event("ann", "p1", "purchase", minutes=-1),
        event("bob", "p1", "click", minutes=-60), event("bob", "p1", "purchase", minutes=-60, value=3.0),
        event("boss", "p1", "click", request_id="r4"), event("eve", "p1", "click"), event("zoe", "p1", "click"),
    ])  # fmt: skip
    write(tmp_path / "log" / ".events-2.jsonl", ["half a line"])
    kept = {"p1": 0.5, "p2": 0.1}
    items = write(
        tmp_path / "items.jsonl", [{"item_id": name, "brand_id": "acme", "margin": kept[name]} for name in kept]
    )
    logs = read_ab_logs(spark, shown, happened.parent, "ranking", items=items)
    nobody = ("request r6", "B")
    ann, bob = ("ann", "A"), ("bob", "B")
    assert by_user(logs, "views") == {ann: 2, bob: 1, nobody: 1}
    assert by_user(logs, "shown") == {ann: 3, bob: 2, nobody: 1}
    assert by_user(logs, "items") == {ann: 2, bob: 2, nobody: 1}
    assert by_user(logs, "brands") == {ann: 1, bob: 1}
    assert by_user(logs, "clicks") == {ann: 2, bob: 1}, "each item once a view, and only what it showed"
    assert by_user(logs, "clicked_views") == {ann: 2, bob: 1}
    assert by_user(logs, "orders") == {ann: 2}, "what is bought at one moment is one order"
    assert by_user(logs, "sales") == {ann: 7.5}, "eight days later is too late, before a view too early"
    assert by_user(logs, "margin") == {ann: 0.25}, "of p7 nothing is known"
    assert by_user(logs, "lists") == {ann: 2, bob: 1, nobody: 1}
    assert by_user(logs, "seen") == {ann: 2, bob: 2}, "no more than were shown, whatever the client says"
    assert by_user(logs, "saves") == {bob: 1}
    assert by_user(logs, "dwell_seconds") == {bob: 1.5}
    assert by_user(logs, "clicks_before") == {bob: 1}
    assert by_user(logs, "sales_before") == {bob: 3.0}
    assert (logs.forced, logs.refused) == (1, {"exposures": 2, "events": 0})
    assert logs.shares == {(1, "A"): 0.5, (1, "B"): 0.5}
    assert sorted(logs.shown["B"].tolist()) == [0.0, 1.0, 1.0], "p9 stands at place 21"


def report(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert exit_code_of(["experiment", "report", *arguments, "--output", "json"]) == code
    captured = capsys.readouterr()
    return captured.err if code else json.loads(captured.out)


def test_a_planted_effect_is_found(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, happened = many(700, lift=0.8)
    folder = tmp_path / "shown"
    folder.mkdir()
    stamped = [{**row, "ts": datetime.fromisoformat(row["ts"]), "places": None} for row in shown]
    pq.write_table(pa.Table.from_pylist(stamped), folder / "part-0.parquet")
    logs = ("--exposures", str(folder),
            "--events", str(write(tmp_path / "events.jsonl", happened)), "--experiment", "ranking")  # fmt: skip
    page = tmp_path / "report.html"
    told = report(capsys, *logs, "--effect", "0.5", "--html", str(page))
    assert (told["from"], told["to"], len(told["by_day"]), told["warnings"]) == ("2026-11-02", "2026-11-07", 6, [])
    assert told["sample_ratio"]["sound"]
    assert [each["shares"] for each in told["epochs"]] == [{"A": 0.8, "B2": 0.2}, {"A": 0.5, "B2": 0.5}]
    for metric in ("ctr", "clicks_per_user"):
        found = told["metrics"][metric]["B2"]
        assert found["relative"]["low"] < 0.8 < found["relative"]["high"]
        assert found["p_holm"] < 0.001
        assert found["always_valid_p_holm"] < 0.05
        assert found["always_valid"]["low"] < found["difference"]["low"]
    assert told["by_day"][-1]["so_far"]["ctr"]["B2"]["difference"] == told["metrics"]["ctr"]["B2"]["difference"]
    assert set(told["by_segment"]) == {"young", "old"}
    a, b = told["variants"]["A"], told["variants"]["B2"]
    assert a["coverage"] < b["coverage"], "B2 shows four times as many items"
    assert a["centrality_ratio"] > b["centrality_ratio"]
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert not any(part in text for part in ("<script", "src=", 'href="http', "@import")), "nothing is fetched"
    assert exit_code_of(["experiment", "report", *logs, "--control", "B2", "--unit", "request"]) == 0
    assert "against B2; the split is" in capsys.readouterr().out


def test_bad_input_is_one_line(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = str(write(tmp_path / "events.jsonl", [event("ann", "p1", "save")]))

    def refused(rows: list[Any], *more: str, code: int) -> str:
        shown = str(write(tmp_path / "shown.jsonl", rows))
        told: str = report(
            capsys, "--exposures", shown, "--events", events, "--experiment", "ranking", *more, code=code
        )
        assert len(told.strip().splitlines()) == 1, told
        return told

    one = [exposure("r1", "ann", "p1", "A"), exposure("r2", "bob", "p1", "A")]
    assert "no exposure of experiment 'ranking'" in refused([exposure("r", "a", "p", "A", experiment="x")], code=3)
    assert "only variant A" in refused(one, code=3)
    two = [*one, exposure("r3", "eve", "p1", "B"), exposure("r4", "zoe", "p1", "B")]
    assert "unknown control 'M'" in refused(two, "--control", "M", code=2)
    assert "none of the 2 rows" in refused(["{", "nonsense"], code=4)
    (tmp_path / "empty").mkdir()
    told = report(capsys, "--exposures", str(tmp_path / "empty"), "--events", events, "--experiment", "x", code=2)
    assert "nothing in the folder" in told
    quiet = str(write(tmp_path / "shown.jsonl", two))
    told = report(capsys, "--exposures", quiet, "--events", events, "--experiment", "ranking",
                  "--html", str(tmp_path / "quiet.html"))  # fmt: skip
    assert told["metrics"]["ctr"]["B"]["p"] == 1.0
    assert any("no click at all" in line for line in told["warnings"])
