"""Switch to a generation. It becomes visible all at once, or not at all.

Everything before this call leaves the serving generation untouched, so a crash at any moment changes nothing that a
query can see. It is one atomic change of aliases that also is a compare-and-swap: it removes the alias from the
generation the plan saw (which must still have it), and adds it as the only write index; if somebody else switched
meanwhile, or swept this generation, the engine refuses the whole change.
"""

from __future__ import annotations

from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import Conflict, EngineBusy, EngineRejected, EngineUnreachable, IndexMissing
from es_ranking.publish.generation import KEPT, WRITING, Published, serving
from es_ranking.publish.plan import PublishPlan, refuse_older
from segments.errors import Refused


def as_planned(engine: Engine, plan: PublishPlan) -> Published | None:
    """What serves, which is what the plan saw.

    Raises:
        Refused: something else serves by now.
    """
    now = serving(engine, plan.alias)
    refuse_older(plan.target, now)
    found = now.generation.id if now else None
    if found != plan.replaces:
        raise Refused(
            f"{found or 'nothing'} serves by now, not {plan.replaces or 'nothing'} as planned; nothing was changed",
            where=plan.alias,
            hint="publish again",
        )
    return now


def switch(engine: Engine, plan: PublishPlan) -> None:
    """The one atomic change: the plan's generation serves under every alias, what served before does not.

    Raises:
        Refused: something else serves by now than the plan saw, or this generation was swept.
    """
    now = as_planned(engine, plan)
    old = now.generation.indices if now else {}
    actions: list[dict[str, Any]] = []
    for alias, index in plan.indices.items():
        if alias in old:
            actions.append({"remove": {"index": old[alias], "alias": alias, "must_exist": True}})
        actions.append({"remove": {"index": index, "alias": index + WRITING, "must_exist": True}})
        # Only one index behind an alias may be its write index: two first publishers cannot both add theirs.
        actions.append({"add": {"index": index, "alias": alias, "is_write_index": True}})
    if now:
        actions.append({"add": {"index": now.generation.index, "alias": now.generation.index + KEPT}})
    try:
        engine.update_aliases(actions)
    except (IndexMissing, Conflict, EngineRejected) as error:
        raise Refused(f"somebody else switched first: {error.what}", where=plan.alias, hint="publish again") from error
    except (EngineUnreachable, EngineBusy):
        # The answer was lost, not necessarily the change.
        if engine.get_alias(plan.alias) != [plan.generation]:
            raise
