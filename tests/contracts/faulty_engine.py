"""A real engine behind a bad line: faults are planned by the test, everything else passes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from es_ranking.engine.contract import BulkAction, BulkError, BulkResult, Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable, RequestTooLarge

Fault = Callable[[Engine, list[BulkAction], bool], BulkResult]


def busy(_: Engine, __: list[BulkAction], ___: bool) -> BulkResult:
    """The whole request is turned away (429 or 503)."""
    raise EngineBusy("planned")


def cut_before(_: Engine, __: list[BulkAction], ___: bool) -> BulkResult:
    """The connection is cut before the engine saw anything."""
    raise EngineUnreachable("planned")


def cut_after(engine: Engine, actions: list[BulkAction], require_alias: bool) -> BulkResult:
    """The engine did everything, and the answer was lost."""
    engine.bulk(actions, require_alias=require_alias)
    raise EngineUnreachable("planned")


def half_busy(engine: Engine, actions: list[BulkAction], require_alias: bool) -> BulkResult:
    """Every second action is turned away, the others are done."""
    done = engine.bulk(actions[::2], require_alias=require_alias)
    late = tuple(BulkError(at, action.id, 429, "planned") for at, action in enumerate(actions) if at % 2)
    return replace(done, errors=done.errors + late)


def too_large(_: Engine, actions: list[BulkAction], __: bool) -> BulkResult:
    """More than one action is too large a request."""
    raise RequestTooLarge("planned")


class FaultyEngine:
    """Passes every call on; bulk requests and alias changes meet the planned faults first, in order."""

    def __init__(self, engine: Engine, *bulk_faults: Fault | None, alias_fault: str | None = None) -> None:
        self._engine = engine
        self._bulk_faults = list(bulk_faults)
        self._alias_fault = alias_fault
        self.bulks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def bulk(self, actions: Iterable[BulkAction], *, refresh: bool = False, require_alias: bool = False) -> BulkResult:
        self.bulks += 1
        listed = list(actions)
        fault = self._bulk_faults.pop(0) if self._bulk_faults else None
        return (
            fault(self._engine, listed, require_alias)
            if fault
            else self._engine.bulk(listed, require_alias=require_alias)
        )

    def update_aliases(self, actions: Any) -> None:
        fault, self._alias_fault = self._alias_fault, None
        if fault == "cut_before":
            raise EngineUnreachable("planned")
        self._engine.update_aliases(actions)
        if fault == "cut_after":
            raise EngineUnreachable("planned")
