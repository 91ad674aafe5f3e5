"""Begin or abort a generation: its indices behind private aliases, where only its own writers find them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import Conflict
from es_ranking.publish.create import create
from es_ranking.publish.generation import WAS, WRITING, serving, users_alias, why_alias
from es_ranking.publish.plan import PublishPlan, refuse_older
from es_ranking.publish.removal import discard, generation_named
from es_ranking.publish.seal import let_in
from segments.errors import RankingError

log = logging.getLogger("es_ranking.publish")


@dataclass(frozen=True)
class Targets:
    """Where writers write: private aliases that vanish with the generation. Plain strings, so they go to workers."""

    main: str
    why: str
    users: str


def targets_of(plan: PublishPlan) -> Targets:
    """The private aliases of the plan's generation."""
    alias = plan.alias
    names = (plan.indices[name] + WRITING for name in (alias, why_alias(alias), users_alias(alias)))
    return Targets(*names)


def begin(engine: Engine, plan: PublishPlan) -> Targets:
    """Sweeps half-written leftovers and creates the generation's indices, behind private aliases only, or none of them.

    Raises:
        Refused: a newer generation serves by now.
        Conflict: somebody publishes the same run at this very moment.
    """
    refuse_older(plan.target, serving(engine, plan.alias))
    for name in plan.sweeps:
        log.info("removing the half-written %s", name)
        discard(engine, generation_named(plan.alias, name))
    if plan.replaces:
        # Who was killed right after his switch has left it.
        engine.delete_index(plan.replaces + WAS, missing_ok=True)
    try:
        create(engine, plan)
    except Conflict:
        # It is somebody else's.
        raise
    except RankingError:
        # Before the first document nobody else cleans up.
        give_up(engine, plan)
        raise
    return targets_of(plan)


def abort(engine: Engine, plan: PublishPlan) -> None:
    """Removes the half-written generation; one that serves already is left alone. May be called twice.

    Then what serves takes writes again, and not before: the engine may have a switch in its queue until then, and what
    was written in between would be lost.
    """
    discard(engine, plan.target)
    let_in(engine, plan.alias, plan.replaces)


def give_up(engine: Engine, plan: PublishPlan) -> None:
    """`abort` after a failure that matters more than its own: the next publish sweeps what it leaves."""
    try:
        abort(engine, plan)
    except RankingError as error:
        log.warning("the half-written %s stays until the next publish: %s", plan.generation, error)
