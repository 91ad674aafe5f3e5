"""Generations that go: half-written ones, which a switch may still be under way to, and those that served long ago."""

from __future__ import annotations

from contextlib import suppress

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import Conflict, EngineRejected, IndexMissing
from es_ranking.publish.generation import WRITING, Generation, serving
from es_ranking.publish.plan import PublishPlan


def discard(engine: Engine, generation: Generation) -> None:
    """Removes a generation that has not served, and no other.

    Its private alias, which the switch takes too, is taken first: of a switch that is still under way (its answer was
    lost, or it is somebody else's) and this, the engine lets the first one pass and refuses the other.
    """
    index, discarded = generation.index, f"{generation.index}-discarded{WRITING}"
    claim = (
        {"remove": {"index": index, "alias": index + WRITING, "must_exist": True}},
        {"add": {"index": index, "alias": discarded}},
    )
    with suppress(IndexMissing, Conflict, EngineRejected):
        # a full disk closes an index to changes of its aliases too, and would so keep what fills it
        engine.put_settings(index, {"index.blocks.read_only_allow_delete": None})
        engine.update_aliases(claim)
    if engine.get_alias(discarded):
        remove(engine, generation)


def retire(engine: Engine, plan: PublishPlan) -> list[str]:
    """Removes the generations the plan retires, never one that serves."""
    now = serving(engine, plan.alias)
    retired = [name for name in plan.retires if now is None or name != now.generation.id]
    for name in retired:
        remove(engine, generation_named(plan.alias, name))
    return retired


def remove(engine: Engine, generation: Generation) -> None:
    """Deletes a generation's indices, the main one last: while it is there, the others are known."""
    for index in (generation.users_index, generation.why_index, generation.index):
        engine.delete_index(index, missing_ok=True)


def generation_named(alias: str, name: str) -> Generation:
    """The generation of an id, `products-20171127t000000-1`."""
    run, number = name.removeprefix(f"{alias}-").rsplit("-", 1)
    return Generation(run.upper(), int(number), alias)
