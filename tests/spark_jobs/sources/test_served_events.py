"""The event log of the service is read by the nights, with the mapping that the guide shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from pyspark.sql import SparkSession

from es_ranking.serve.event_log import EventLog
from es_ranking.serve.events import Event
from spark_jobs.sources.files import Files, FilesSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "serve.md"


def test_the_guides_mapping_reads_what_was_served(spark: SparkSession, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(events:.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.S)
    mapping = yaml.safe_load(block)
    mapping["events"]["path"] = str(tmp_path / "log")
    for name, key in (("items", "item_id"), ("users", "user_id")):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"{key}": "x"}}\n')
        mapping[name] = {"path": str(tmp_path / f"{name}.jsonl"), "format": "json", "columns": {key: key}}
    log, other = EventLog(tmp_path / "log"), EventLog(tmp_path / "log")
    shown = {"user_id": "ann", "kind": "impression", "item_id": "p1", "ts": "2026-03-01T10:00:00.250Z",
             "request_id": "r", "position": 3, "variant": "B1", "event_id": "a"}  # fmt: skip
    sold = {"user_id": "ann", "kind": "purchase", "item_id": "p1", "ts": "2026-03-01T12:00:00+01:00", "value": 2.5,
            "event_id": "b"}  # fmt: skip
    for sent in (shown, sold, shown):
        log.write([Event.of(sent, now=NOW, ahead=timedelta(0))])
    other.write([Event.of({**sold, "event_id": "still open"}, now=NOW, ahead=timedelta(0))])
    log.close()
    source = Files(FilesSettings.of(mapping))
    tables = source.tables(spark, NOW)
    events = {row.event_id: row for row in tables["events"].collect()}
    assert tables["refused"].count() == 0
    assert set(events) == {"a", "b"}
    assert (events["a"].ts, events["a"].position) == (datetime(2026, 3, 1, 10, 0, 0, 250_000), 3)
    assert events["a"].context == {"variant": "B1"}
    assert (events["b"].ts, events["b"].value, events["b"].request_id) == (datetime(2026, 3, 1, 11), 2.5, None)
    source.release()
    other.close()
