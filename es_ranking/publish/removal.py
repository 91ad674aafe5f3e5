"""Generations that go: half-written ones, which a switch may still be under way to, and those that served long ago."""

from __future__ import annotations

from contextlib import suppress

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import Conflict, EngineRejected, IndexMissing
from es_ranking.publish.generation import KEPT, WAS, WRITING, Generation, generations
from es_ranking.publish.plan import PublishPlan


def discard(engine: Engine, generation: Generation, *, private: str = WRITING) -> bool:
    """Removes a generation that does not serve, and no other; whether it is gone.

    Its private alias, which who puts it in service takes too, is taken first: of a switch or a rollback that is still
    under way (its answer was lost, or it is somebody else's) and this, the engine lets the first one pass and refuses
    the other.
    """
    index, discarded = generation.index, f"{generation.index}-discarded{WRITING}"
    claim = (
        {"remove": {"index": index, "alias": index + private, "must_exist": True}},
        {"add": {"index": index, "alias": discarded}},
    )
    with suppress(IndexMissing, Conflict, EngineRejected):
        # a full disk closes an index to changes of its aliases too, and would so keep what fills it
        engine.put_settings(index, {"index.blocks.read_only_allow_delete": None})
        engine.update_aliases(claim)
    found = bool(engine.get_alias(discarded))
    if found:
        remove(engine, generation)
    return found


def retire(engine: Engine, plan: PublishPlan) -> list[str]:
    """Removes the generations the plan retires, never one that serves, or is just being rolled back to."""
    retired = []
    for found in generations(engine, plan.alias):
        name = found.generation.id
        if name not in plan.retires or found.serving:
            continue
        if found.kept:
            if not discard(engine, found.generation, private=KEPT):
                continue
        else:
            # Earlier versions gave it no private alias.
            remove(engine, found.generation)
        retired.append(name)
    return retired


def remove(engine: Engine, generation: Generation) -> None:
    """Deletes a generation's indices, the main one last: while it is there, the others are known."""
    for index in (generation.index + WAS, generation.users_index, generation.why_index, generation.index):
        engine.delete_index(index, missing_ok=True)


def generation_named(alias: str, name: str) -> Generation:
    """The generation of an id, `products-20171127t000000-1`."""
    run, number = name.removeprefix(f"{alias}-").rsplit("-", 1)
    return Generation(run.upper(), int(number), alias)
