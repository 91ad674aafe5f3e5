"""`/_events`: what users did, into the event log and the recent-action store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from es_ranking.actions.contract import ActionsUnavailable
from es_ranking.query.prepare import ACTIONS
from es_ranking.serve.body import read_json
from es_ranking.serve.events import Event
from es_ranking.serve.service import Service
from es_ranking.serve.statuses import NotServed, TooLarge, answer
from segments.errors import ContractBroken

NAMED = 200
"""Characters of a refused event's id that are told back."""


def record(service: Service, raw: bytes) -> Response:
    """Takes an event, a list of events, or `{"events": […]}`.

    The log is written first: it is what the nights learn from, and what is lost there is lost. The store comes next,
    and is given repeated events too, so that sending a batch again mends what a store that was down has missed.

    Raises:
        UsageError: not JSON; TooLarge: too many at once; EventLogUnavailable: the log cannot be written, and nothing
            was taken.
    """
    if service.events is None and service.actions is None:
        raise NotServed("this service takes no events", hint="start it with --events, or with a recent-action store")
    sent = read_json(raw)
    listed: Any = sent.get("events", [sent]) if isinstance(sent, dict) else sent
    if not isinstance(listed, list):
        listed = [listed]
    most = service.settings.events_at_once
    if len(listed) > most:
        raise TooLarge(f"{len(listed)} events at once, the service takes {most}", hint="send smaller batches")
    now, ahead = datetime.now(UTC), timedelta(seconds=service.settings.events_ahead_seconds)
    good: dict[str, Event] = {}
    refused = []
    for number, one in enumerate(listed):
        try:
            event = Event.of(one, now=now, ahead=ahead)
            good.setdefault(event.event_id, event)
        except ContractBroken as error:
            name = one.get("event_id") if isinstance(one, dict) else None
            named = name[:NAMED] if isinstance(name, str) else None
            refused.append({"number": number, "event_id": named, "reason": error.what})
    events = list(good.values())
    accepted = len(events) if service.events is None else service.events.write(events)
    flags = []
    if service.actions is not None:
        try:
            service.actions.record([event.action() for event in events])
        except ActionsUnavailable:
            flags.append(ACTIONS)
    counts = {"accepted": accepted, "repeated": len(listed) - len(refused) - accepted, "refused": len(refused)}
    for outcome, count in counts.items():
        service.metrics.count("es_ranking_events_total", count, outcome=outcome)
    return answer({**counts, "refused": refused, "flags": flags})
