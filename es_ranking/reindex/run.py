"""Copies the serving generation into an index of another shape, catches up with its writers, and switches.

Searches never notice, and writers only at the end: they are refused (403) for as long as the last changes are copied
and compared, which is measured and bounded. A crash at any moment leaves the old index serving; the copy can be gone on
with. At worst it leaves the old index closed to writes, which the next try or `doctor --mend` undoes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineBusy, EngineDenied
from es_ranking.publish.begin import Targets, abort, begin, targets_of
from es_ranking.publish.carry import Carrier
from es_ranking.publish.finish import counted, settle
from es_ranking.publish.follow import Followed, Follower
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.seal import let_in, open_to_writes
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.switch import switch
from es_ranking.publish.write import swept
from es_ranking.reindex.plan import ReindexPlan
from es_ranking.reindex.sameness import unequal
from es_ranking.scripts.store import ATTRIBUTES, put_scripts
from segments.errors import RankingError, Refused

log = logging.getLogger("es_ranking.reindex")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FORGOTTEN = 3


@dataclass(frozen=True)
class Reindexed:
    """A copy that serves now."""

    generation: str
    replaced: str
    documents: int
    followed: Followed
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        found = asdict(self)
        followed = found.pop("followed")
        return {**found, **followed}


def reindex(engine: Engine, plan: ReindexPlan, *, publish: PublishSettings, resume: bool) -> Reindexed:
    """Executes the plan, from its beginning or from where an earlier process stopped.

    Args:
        publish: how documents are written.

    Raises:
        Refused: the copy could not be made equal (it is removed), the writers are too fast, or something else was
            published meanwhile; the old index serves on.
        EngineBusy, EngineUnreachable: the engine's state; the copy stays, to be gone on with.
    """
    began = time.perf_counter()
    if resume:
        targets = _found(engine, plan.publish)
        # Who was killed while writers were kept out has left them there; they wait for the end only.
        open_to_writes(engine, plan.source)
    else:
        put_scripts(engine)
        # What is not refreshed is not copied.
        engine.refresh(plan.source)
        targets = begin(engine, plan.publish)
    documents = 0

    def check() -> None:
        nonlocal documents
        wrong = unequal(engine, plan.publish.generation, plan.source, sample=plan.settings.sample,
                        attributes=plan.attributes)  # fmt: skip
        if wrong:
            raise Refused(f"the copy is not the same: {wrong}", where=plan.publish.generation)
        documents = engine.count(plan.publish.generation)
        counted(engine, plan.publish, documents)

    try:
        _copy(engine, plan, targets)
        engine.refresh(targets.main)
        # No gate: the ranks were judged when they were published, of a copy only sameness is asked.
        settle(engine, plan.publish, publish.model_copy(update=plan.settled))
        follower = Follower(
            engine, alias=plan.publish.alias, source=plan.source, index=plan.publish.generation,
            since=plan.publish.since, witness=None, carrier=Carrier(plan.attributes), settings=publish,
            limits=plan.settings,
        )  # fmt: skip
        followed = follower.switch(lambda: switch(engine, plan.publish), check=check)
    except Refused:
        abort(engine, plan.publish)
        raise
    except BaseException:
        try:
            let_in(engine, plan.publish.alias, plan.source)
        except RankingError as error:
            log.error("%s may refuse writes still: es-ranking doctor %s --mend (%s)", plan.source,
                      plan.publish.alias, error)  # fmt: skip
        raise
    if followed is None:
        raise Refused(
            f"in {plan.settings.rounds} rounds the last changes took longer than {plan.settings.max_block_seconds:g} s",
            where=plan.publish.generation,
            hint=f"es-ranking reindex {plan.publish.alias} --resume --max-block-seconds …, when less is written",
        )
    return Reindexed(plan.publish.generation, plan.source, documents, followed, round(time.perf_counter() - began, 3))


def _found(engine: Engine, plan: PublishPlan) -> Targets:
    targets = targets_of(plan)
    if not all(engine.get_alias(target) for target in (targets.main, targets.why, targets.users)):
        raise Refused("it stopped before there was anything to go on with", where=plan.generation,
                      hint=f"es-ranking reindex {plan.alias} --abort")  # fmt: skip
    return targets


def _copy(engine: Engine, plan: ReindexPlan, targets: Targets) -> None:
    speed = plan.settings.requests_per_second
    script = {"id": ATTRIBUTES.id, "params": {"names": list(plan.attributes)}} if plan.attributes else None
    for _ in range(_FORGOTTEN):
        task = engine.reindexing(targets.main)
        if task is not None:
            _hurry(engine, task, speed)
        else:
            task = engine.start_reindex(plan.source, targets.main, requests_per_second=speed,
                                        slices=plan.settings.slices, script=script)  # fmt: skip
        if _done(engine, plan, targets, task):
            return
        log.warning("the engine does not know its task %s any more; it copies what is missing", task)
    raise Refused("the engine forgets its own copying", where=plan.publish.generation,
                  hint="look at its log, then run again")  # fmt: skip


def _hurry(engine: Engine, task: str, speed: float | None) -> None:
    try:
        engine.rethrottle(task, speed)
    except EngineDenied as error:
        log.warning("the copying goes on as fast as it was begun: %s", error.what)


def _done(engine: Engine, plan: ReindexPlan, targets: Targets, task: str) -> bool:
    """Waits for the task; whether it copied all, or is forgotten."""
    pause, began = _FIRST_PAUSE, time.perf_counter()
    while (state := engine.copying(task)) is not None:
        if state.failure is not None:
            if not engine.get_alias(targets.main):
                raise swept(targets.main)
            if state.refused is not None:
                raise Refused(f"the copy would not take {state.refused}: {state.failure}", where=targets.main,
                              hint="the old index serves on; change the settings and run again")  # fmt: skip
            raise EngineBusy(f"the engine stopped copying: {state.failure}", where=plan.publish.generation,
                             hint=f"es-ranking reindex {plan.publish.alias} --resume goes on")  # fmt: skip
        seconds = max(time.perf_counter() - began, 1e-6)
        log.info("%s of %s documents copied in %.0f s", f"{state.documents:,}", f"{state.total:,}", seconds)
        if state.done:
            return True
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause)
    return False
