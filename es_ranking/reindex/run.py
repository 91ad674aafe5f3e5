"""Copies the serving generation into an index of another shape, catches up with its writers, and switches.

Searches never notice, and writers only at the end: they are refused (403) for as long as the last changes are copied
and compared, which is measured and bounded. A crash at any moment leaves the old index serving; the copy can be gone on
with. At worst it leaves the old index closed to writes, which the next try or `doctor --mend` undoes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineBusy, EngineDenied
from es_ranking.publish.delta import delete_documents
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.seal import open_to_writes
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.switch import Targets, abort, begin, counted, settle, switch, targets_of
from es_ranking.publish.write import swept, write_documents
from es_ranking.reindex.catch_up import Query, parted, too_many, unequal, with_attributes, written_since
from es_ranking.reindex.plan import ReindexPlan
from es_ranking.scripts.store import ATTRIBUTES, put_scripts
from segments.errors import RankingError, Refused

log = logging.getLogger("es_ranking.reindex")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FORGOTTEN = 3
_SHORT_SECONDS = 1.0


@dataclass(frozen=True)
class Reindexed:
    """A copy that serves now.

    Attributes:
        caught_up: documents written again because their source was written while it was copied.
        deleted: documents taken away because their source was.
        rounds: how often writers were kept out; all but the last time in vain.
        blocked_seconds: how long they were, the last time.
    """

    generation: str
    replaced: str
    documents: int
    caught_up: int
    deleted: int
    rounds: int
    blocked_seconds: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class _TooLong(Exception):
    """Writers have been kept out for as long as they may be."""


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
    try:
        _copy(engine, plan, targets)
        engine.refresh(targets.main)
        copy = _Copy(engine, plan, targets, publish, parted(engine, targets.main))
        copy.come_near()
        # No gate: the ranks were judged when they were published, of a copy only sameness is asked.
        settle(engine, plan.publish, publish.model_copy(update=plan.settled))
        counted(engine, plan.publish, engine.count(targets.main))
        for round_ in range(1, plan.settings.rounds + 1):
            copy.come_near()
            blocked = copy.switch()
            if blocked is not None:
                return Reindexed(plan.publish.generation, plan.source, copy.documents, copy.written, copy.deleted,
                                 round_, round(blocked, 3), round(time.perf_counter() - began, 3))  # fmt: skip
            log.info("writers may write again; the switch is tried once more")
    except Refused:
        abort(engine, plan.publish)
        raise
    raise Refused(
        f"in {plan.settings.rounds} rounds the last changes took longer than {plan.settings.max_block_seconds:g} s",
        where=plan.publish.generation,
        hint=f"es-ranking reindex {plan.publish.alias} --resume --max-block-seconds …, when less is written",
    )


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


class _Copy:
    """A copy that is complete as of `since` and follows its source."""

    def __init__(
        self, engine: Engine, plan: ReindexPlan, targets: Targets, publish: PublishSettings, parts: list[Query]
    ) -> None:
        self.engine, self.plan, self.targets, self.parts = engine, plan, targets, parts
        self.publish = publish
        self.since = plan.since
        self.written = self.deleted = self.documents = 0

    def come_near(self) -> None:
        """Follows the source, which is written on, until a pass is so short that writers could have waited for it."""
        for _ in range(self.plan.settings.rounds):
            began = time.perf_counter()
            self._follow(None)
            if time.perf_counter() - began < min(_SHORT_SECONDS, self.plan.settings.max_block_seconds / 2):
                return

    def switch(self) -> float | None:
        """Keeps writers out, follows for the last time, compares and switches; seconds they were out, None: in vain.

        The old index stays closed: what was still on its way there is refused instead of lost. Going back opens it.
        """
        source, began = self.plan.source, time.perf_counter()
        until = began + self.plan.settings.max_block_seconds
        try:
            self.engine.close_to_writes(source)
            self._follow(until)
            wrong = unequal(self.engine, self.targets.main, source, sample=self.plan.settings.sample,
                            attributes=self.plan.attributes)  # fmt: skip
            if wrong:
                raise Refused(f"the copy is not the same: {wrong}", where=self.plan.publish.generation)
            self.documents = self.engine.count(self.targets.main)
            _in_time(until)
            switch(self.engine, self.plan.publish)
        except _TooLong:
            open_to_writes(self.engine, source)
            return None
        except BaseException:
            try:
                open_to_writes(self.engine, source)
            except RankingError as error:
                log.error("%s may refuse writes still: es-ranking doctor %s --mend (%s)", source,
                          self.plan.publish.alias, error)  # fmt: skip
            raise
        return time.perf_counter() - began

    def _follow(self, until: float | None) -> None:
        """Writes what was written since, takes away what was deleted.

        Raises:
            _TooLong: `until` is over.
        """
        source, main = self.plan.source, self.targets.main
        upto = self.engine.checkpoints(source)
        if upto == self.since:
            return
        self.engine.refresh(source)
        report = write_documents(self.engine, main, self._changed(until), settings=self.publish)
        if report.refused:
            first = report.ledger[0]
            raise Refused(f"the copy would not take {first.id}: {first.reason}", where=main)
        self.engine.refresh(main)
        gone = too_many(self.engine, main, source, self.parts)
        _in_time(until)
        if gone:
            self.deleted += delete_documents(self.engine, main, gone, settings=self.publish)
            self.engine.refresh(main)
        self.written, self.since = self.written + report.written, upto
        log.info("%s documents written again, %s taken away", f"{report.written:,}", f"{len(gone):,}")

    def _changed(self, until: float | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for doc_id, document in written_since(self.engine, self.plan.source, self.since):
            _in_time(until)
            yield doc_id, with_attributes(document, self.plan.attributes)


def _in_time(until: float | None) -> None:
    if until is not None and time.perf_counter() > until:
        raise _TooLong
