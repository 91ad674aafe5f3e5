"""Events: two shapes, one rule; each in the log once, in whole files, whatever dies."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from es_ranking.actions.contract import Action, ActionsUnavailable
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.serve.event_log import EventLog, EventLogUnavailable
from es_ranking.serve.events import Event, Kind
from segments.errors import ContractBroken, UsageError
from spark_jobs.sources.refuse import EVENT_KINDS
from tests.es_ranking.serve.door import MemoryEngine, call, service_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AHEAD = timedelta(minutes=5)
SENT: dict[str, Any] = {
    "event_id": "e1", "ts": "2026-03-01T11:00:00+01:00", "user_id": "ann", "item_id": 17, "kind": "click", "position": 3
}  # fmt: skip


def read(sent: Any) -> Event:
    return Event.of(sent, now=NOW, ahead=AHEAD)


def test_an_event_of_ours() -> None:
    event = read(SENT)
    assert event.item_id == "17"
    assert event.ts == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert event.action() == Action("ann", "17", "click", event.ts, "e1")
    line = json.loads(event.line())
    assert set(line) == set(Event.model_fields)
    assert line["ts"] == "2026-03-01T10:00:00.000+00:00"


def test_kinds_are_those_of_the_sources() -> None:
    assert get_args(Kind) == EVENT_KINDS


def test_an_event_of_ubi() -> None:
    sent = {
        "action_name": "add_to_cart", "client_id": "c1", "query_id": "q1", "timestamp": 1772362800000,
        "user_query": "soup", "surface": "search",
        "event_attributes": {"object": {"object_id": "p1", "object_id_field": "item_id"}, "position": {"ordinal": 2}},
    }  # fmt: skip
    event = read(sent)
    assert (event.kind, event.user_id, event.item_id, event.request_id) == ("cart", "c1", "p1", "q1")
    assert (event.position, event.search_term, event.surface) == (2, "soup", "search")
    assert event.ts == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert read(sent).event_id == event.event_id != read({**sent, "client_id": "c2"}).event_id


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "bought"}, "kind"), ({"user_id": ""}, "user_id"), ({"item_id": None}, "item_id"),
        ({"ts": None}, "ts"),
        ({"ts": "2026-03-01T12:06:00Z"}, "ahead"), ({"ts": "0001-01-01T00:00:00+14:00"}, "before 1970"),
        ({"position": -1}, "position"), ({"value": float("inf")}, "value"), ({"user_id": "\ud800"}, "user_id"),
        ({"event_id": "e" * 600}, "event_id"), ({"item_kind": "car"}, "item_kind"),
    ],
)  # fmt: skip
def test_refused_events_say_why(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContractBroken, match=reason):
        read({**SENT, **change})


def events(*names: str) -> list[Event]:
    return [read({**SENT, "event_id": name}) for name in names]


def logged(folder: Path) -> list[str]:
    return [json.loads(line)["event_id"] for file in sorted(folder.glob("events-*.jsonl"))
            for line in file.read_text().splitlines()]  # fmt: skip


def test_files_appear_whole_and_by_age_and_length(tmp_path: Path) -> None:
    seconds = [0.0]
    log = EventLog(tmp_path, roll_seconds=60, roll_bytes=2000, clock=lambda: seconds[0])
    assert log.write(events("a", "b")) == 2
    assert log.write(events("b", "c")) == 1
    log.roll_if_due()
    assert logged(tmp_path) == []
    seconds[0] = 61.0
    log.roll_if_due()
    assert logged(tmp_path) == ["a", "b", "c"]
    assert log.write(events(*"defghijk")) == 8
    assert len(logged(tmp_path)) == 11, "long enough: named without waiting"
    log.close()


def test_an_id_is_known_to_other_processes_and_after_a_restart(tmp_path: Path) -> None:
    first, second = EventLog(tmp_path), EventLog(tmp_path)
    assert (first.write(events("a")), second.write(events("a", "b"))) == (1, 1)
    first.close()
    assert logged(tmp_path) == ["a"], "the other one's open file is left alone"
    second.close()
    third = EventLog(tmp_path)
    assert third.write(events("a", "b")) == 0
    third.close()
    assert sorted(logged(tmp_path)) == ["a", "b"]


KILLED = """
import os, sys
from tests.es_ranking.serve.test_events import events
from es_ranking.serve.event_log import EventLog
log = EventLog(sys.argv[1])
log.write(events("a", "b"))
log._open.write(b'{"event_id": "half')
os._exit(9)
"""


def test_what_a_killed_process_had_accepted_is_finished_by_the_next(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, check=False).returncode == 9
    assert logged(tmp_path) == []
    EventLog(tmp_path).close()
    assert logged(tmp_path) == ["a", "b"]


def test_a_write_that_fails_leaves_nothing_and_may_be_repeated(tmp_path: Path, monkeypatch: Any) -> None:
    log = EventLog(tmp_path)
    log.write(events("a"))
    held = log._open

    class Full:
        def write(self, data: bytes) -> int:
            assert held is not None
            if len(data) > 100:
                return held.write(data[:100])
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(held, name)

    with monkeypatch.context() as full:
        full.setattr(log, "_open", Full())
        with pytest.raises(EventLogUnavailable):
            log.write(events("b"))
    assert log.write(events("b")) == 1
    log.close()
    assert logged(tmp_path) == ["a", "b"]


def test_a_folder_that_cannot_be_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="folder of events"):
        EventLog(tmp_path / "file")


def test_the_store_may_be_down_and_is_mended_by_sending_again(tmp_path: Path) -> None:
    class Down(MemoryActionStore):
        def record(self, batch: Any) -> None:
            raise ActionsUnavailable("down")

    log = EventLog(tmp_path)
    sent = {**SENT, "ts": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}
    down = call(service_of(MemoryEngine(), actions=Down(), events=log), "POST", "/_events", json={"events": [sent]})
    assert down.json() == {
        "accepted": 1, "repeated": 0, "refused": [], "flags": ["actions_unavailable"]
    }  # fmt: skip
    store = MemoryActionStore()
    again = call(service_of(MemoryEngine(), actions=store, events=log), "POST", "/_events", json=sent)
    assert again.json() == {"accepted": 0, "repeated": 1, "refused": [], "flags": []}
    assert store.counts("ann", datetime.now(UTC), timedelta(hours=1)) == {"17": {"click": 1}}
    many = call(service_of(MemoryEngine(), actions=store, events_at_once=2), "POST", "/_events", json=[sent] * 3)
    assert many.status_code == 413
    log.close()
