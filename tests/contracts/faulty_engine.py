"""A real engine whose bulk requests meet planned faults; faults of the line to it are `fault_proxy`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from es_ranking.engine.contract import BulkAction, BulkResult, Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable, RequestTooLarge

Fault = Callable[[Engine, list[BulkAction], bool], BulkResult]


def busy(_: Engine, __: list[BulkAction], ___: bool) -> BulkResult:
    """The whole request is turned away (429 or 503)."""
    raise EngineBusy("planned")


def cut_before(_: Engine, __: list[BulkAction], ___: bool) -> BulkResult:
    """The connection is cut before the engine saw anything."""
    raise EngineUnreachable("planned")


def too_large(_: Engine, actions: list[BulkAction], __: bool) -> BulkResult:
    """More than one action is too large a request."""
    raise RequestTooLarge("planned")


class FaultyEngine:
    """Passes every call on; bulk requests meet the planned faults first, in order."""

    def __init__(self, engine: Engine, *bulk_faults: Fault | None) -> None:
        self._engine = engine
        self._bulk_faults = list(bulk_faults)
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
