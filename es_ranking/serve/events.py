"""Events as shops send them: our own flat shape, or that of User Behavior Insights (UBI); one rule for both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from es_ranking.actions.contract import Action
from segments.errors import ContractBroken

Kind = Literal["impression", "click", "save", "like", "follow", "cart", "purchase", "hide", "dwell", "scroll"]
# UBI leaves the words of actions free; these are in use. What is shown counts as a view for downrank.
UBI_KINDS = {
    "view": "impression", "impression": "impression", "add_to_cart": "cart", "buy": "purchase", "bookmark": "save",
    "favorite": "save",
}  # fmt: skip
ACTION_KINDS = {"impression": "view"}
_Id = Annotated[str, Field(min_length=1, max_length=512)]
_Text = Annotated[str, Field(max_length=512)]


class Event(BaseModel):
    """One event, in the columns of the table `events`; what else was sent is not kept.

    Args:
        event_id: names it for ever: sent twice, it counts once. Without one it is a hash of all that was sent.
        ts: when, with a time zone; without one it is UTC.
        position: place in the whole list, from 1.
        generation, variant, segment: as the search's answer told them.
    """

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)

    event_id: _Id
    ts: datetime
    user_id: _Id
    item_id: _Id
    item_kind: Literal["product", "banner"] = "product"
    kind: Kind
    surface: _Text | None = None
    request_id: _Text | None = None
    position: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    search_term: _Text | None = None
    value: Annotated[float, Field(ge=0)] | None = None
    dwell_ms: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    generation: _Text | None = None
    variant: _Text | None = None
    segment: _Text | None = None

    @classmethod
    def of(cls, sent: Any, *, now: datetime, ahead: timedelta) -> Self:
        """Reads one event in either shape.

        Args:
            now: the service's clock.
            ahead: how far the sender's clock may be ahead of it.

        Raises:
            ContractBroken: it is none; the reason is in `what`.
        """
        if not isinstance(sent, Mapping):
            raise ContractBroken("not an object")
        values = _flat(sent) if "action_name" in sent else dict(sent)
        if values.get("event_id") is None:
            values["event_id"] = sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()[:32]
        try:
            event = cls.model_validate(values)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)
            raise ContractBroken("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)) from error
        time = event.ts if event.ts.tzinfo else event.ts.replace(tzinfo=UTC)
        if not datetime(1970, 1, 2, tzinfo=UTC) <= time <= now + ahead:
            raise ContractBroken("ts: lies ahead of the service's clock, or before 1970")
        return event.model_copy(update={"ts": time.astimezone(UTC)})

    def line(self) -> str:
        """As the event log holds it: every column in every line, or a reader of the files would miss some."""
        return json.dumps({**self.model_dump(), "ts": self.ts.isoformat(timespec="milliseconds")}, ensure_ascii=False)

    def action(self) -> Action:
        """As downrank knows it."""
        return Action(self.user_id, self.item_id, ACTION_KINDS.get(self.kind, self.kind), self.ts, self.event_id)


def _flat(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A UBI event as ours. What UBI has no place for may stand beside its own fields, under our names."""
    attributes = _inside(sent, "event_attributes")
    thing, position = _inside(attributes, "object"), _inside(attributes, "position")
    kind = sent["action_name"]
    return {name: sent[name] for name in Event.model_fields if name in sent} | {
        "ts": sent.get("timestamp"),
        "user_id": sent.get("user_id") or sent.get("client_id"),
        "item_id": thing.get("object_id"),
        "kind": UBI_KINDS.get(kind, kind) if isinstance(kind, str) else kind,
        "request_id": sent.get("query_id"),
        "position": position.get("ordinal"),
        "search_term": sent.get("user_query"),
    }


def _inside(sent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = sent.get(name)
    return found if isinstance(found, Mapping) else {}
