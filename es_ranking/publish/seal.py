"""Closed to writes, never refreshed: what a job sets for a while, and what a crashed one leaves behind."""

from __future__ import annotations

from typing import Any

from es_ranking.engine.contract import Engine, IndexState

_OPEN: dict[str, Any] = {"index.blocks.write": None}


def open_to_writes(engine: Engine, *indices: str) -> None:
    """Lets owners write again. What is not closed stays as it is."""
    if indices:
        engine.put_settings(",".join(indices), _OPEN)


def left_behind(state: IndexState) -> dict[str, Any]:
    """Settings that a serving index must not have, with the values that mend them."""
    mending: dict[str, Any] = {}
    if state.settings.get("index.blocks.write") == "true":
        mending |= _OPEN
    if state.settings.get("index.refresh_interval") == "-1":
        mending["index.refresh_interval"] = None
    return mending


def let_in(engine: Engine, alias: str, index: str | None) -> None:
    """Lets owners write again into what serves; what does not serve any more stays closed, if it is."""
    for state in engine.indices(alias):
        # A full disk takes no change of settings, and here is none to make as a rule.
        if state.name == index and _OPEN.keys() & left_behind(state):
            open_to_writes(engine, index)


def mend(engine: Engine, alias: str) -> list[str]:
    """Puts the serving index's settings right; names of those that were wrong."""
    mended: list[str] = []
    for state in engine.indices(alias):
        if mending := left_behind(state):
            engine.put_settings(state.name, mending)
            mended += mending
    return mended
