"""Serve an earlier generation again: one atomic change of aliases, nothing is rewritten."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import Conflict, EngineBusy, EngineRejected, EngineUnreachable, IndexMissing
from es_ranking.publish.generation import KEPT, generations, served
from es_ranking.publish.seal import open_to_writes
from segments.errors import Refused, UsageError


@dataclass(frozen=True)
class RollbackPlan:
    """From which generation to which."""

    alias: str
    serving: str
    to: str
    actions: tuple[dict[str, Any], ...]

    def summary(self) -> dict[str, Any]:
        """What `--dry-run` prints."""
        return {**asdict(self), "actions": list(self.actions)}


def plan_rollback(engine: Engine, alias: str, *, to: str | None = None) -> RollbackPlan:
    """The change of aliases that makes `to` serve; without `to` the newest complete one older than the serving one.

    Raises:
        IndexMissing: nothing is published under the alias.
        Refused: there is no earlier generation, or the one named is half-written or serves already.
        UsageError: no generation of that name.
    """
    now = served(engine, alias)
    found = {published.generation.id: published for published in generations(engine, alias)}
    if to is None:
        older = [p for p in found.values() if not p.half and p.generation < now.generation]
        if not older:
            raise Refused("there is no earlier generation to roll back to", where=alias, hint="es-ranking generations")
        target = older[-1]
    elif to not in found:
        raise UsageError.unknown("generation", to, found, where=alias)
    else:
        target = found[to]
    if target.half or target.serving:
        state = "is half-written" if target.half else "serves already"
        raise Refused(f"{target.generation.id} {state}", where=alias, hint="es-ranking generations")
    back, now_on = target.generation.index, now.generation.index
    # Old and new live under the same three aliases: each is taken from one and given to the other at once.
    actions: list[dict[str, Any]] = []
    for name, index in target.generation.indices.items():
        actions.append({"remove": {"index": now.generation.indices[name], "alias": name, "must_exist": True}})
        actions.append({"add": {"index": index, "alias": name, "is_write_index": True}})
    # Who removes old generations takes this alias first, too: the engine lets one of the two through.
    if target.kept:
        actions.append({"remove": {"index": back, "alias": back + KEPT, "must_exist": True}})
    actions.append({"add": {"index": now_on, "alias": now_on + KEPT}})
    return RollbackPlan(alias, now.generation.id, target.generation.id, tuple(actions))


def rollback(engine: Engine, plan: RollbackPlan) -> None:
    """Executes the plan.

    Raises:
        Refused: somebody switched meanwhile, or the generation is gone; nothing was changed.
    """
    # A generation that was copied from is closed to writes; what serves must not be.
    back = [action["add"]["index"] for action in plan.actions if "is_write_index" in action.get("add", {})]
    try:
        open_to_writes(engine, *back)
        engine.update_aliases(plan.actions)
    except (IndexMissing, Conflict, EngineRejected) as error:
        raise Refused(f"somebody else switched first: {error.what}", where=plan.alias, hint="look again") from error
    except (EngineUnreachable, EngineBusy):
        # The answer was lost, not necessarily the change.
        if engine.get_alias(plan.alias) != [plan.to]:
            raise
