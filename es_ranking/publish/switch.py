"""Begin, finish or abort a generation. It becomes visible all at once, or not at all.

Everything before the last call leaves the serving generation untouched, so a crash at any moment changes nothing that
a query can see. The last call is one atomic change of aliases that also is a compare-and-swap: it removes the alias
from the generation the plan saw (which must still have it), and adds it as the only write index; if somebody else
switched meanwhile, or swept this generation, the engine refuses the whole change.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import Conflict, EngineBusy, EngineRejected, EngineUnreachable, IndexMissing
from es_ranking.publish.gates import Verdict, check_gates, verdict_rows
from es_ranking.publish.generation import (
    WRITING,
    serving,
    users_alias,
    why_alias,
)
from es_ranking.publish.meta import GenerationMeta
from es_ranking.publish.plan import PublishPlan, refuse_older
from es_ranking.publish.removal import discard, generation_named, retire
from es_ranking.publish.seal import open_to_writes
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.write import WriteReport, swept
from segments.errors import RankingError, Refused

log = logging.getLogger("es_ranking.publish")


@dataclass(frozen=True)
class Targets:
    """Where writers write: private aliases that vanish with the generation. Plain strings, so they go to workers."""

    main: str
    why: str
    users: str


@dataclass(frozen=True)
class Finished:
    """A generation that serves now."""

    generation: str
    replaced: str | None
    documents: int
    verdicts: tuple[Verdict, ...] = ()
    retired: tuple[str, ...] = ()
    seconds: float = 0.0
    report: WriteReport = field(default_factory=WriteReport)

    def to_dict(self) -> dict[str, Any]:
        """For the step report and the command line."""
        return {
            "generation": self.generation,
            "replaced": self.replaced,
            "documents": self.documents,
            "written": self.report.written,
            "refused": self.report.refused,
            "retried": self.report.retried,
            "gates": verdict_rows(self.verdicts),
            "retired": list(self.retired),
            "seconds": round(self.seconds, 3),
        }


def targets_of(plan: PublishPlan) -> Targets:
    """The private aliases of the plan's generation."""
    alias = plan.alias
    names = (plan.indices[name] + WRITING for name in (alias, why_alias(alias), users_alias(alias)))
    return Targets(*names)


def counted(engine: Engine, plan: PublishPlan, documents: int) -> PublishPlan:
    """The begun plan with the number of its documents, where only the writers know it; the generation is told, too."""
    kept = plan.bodies[plan.alias]["mappings"]["_meta"]
    meta = replace(GenerationMeta.of(kept, where=plan.generation), documents=documents)
    engine.put_mapping(plan.generation, {"_meta": {**kept, **meta.to_meta()}})
    return replace(plan, documents=documents)


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
    try:
        _create(engine, plan)
    except Conflict:
        # It is somebody else's: what he writes, and what he copies from, stays as it is.
        raise
    except RankingError:
        # Before the first document nobody else cleans up, and what was to be copied would stay closed to writes.
        try:
            abort(engine, plan)
        except RankingError as error:
            log.warning("the half-written %s stays until the next publish: %s", plan.generation, error)
        raise
    return targets_of(plan)


def finish(
    engine: Engine,
    plan: PublishPlan,
    settings: PublishSettings,
    *,
    report: WriteReport,
    figures: Mapping[str, float] | None = None,
) -> Finished:
    """Refreshes, reconciles the counts, passes the gates, and switches.

    Args:
        report: what the writers of all indices say, for the share of refused documents.
        figures: what the night knows for the gates, such as `calibration`.

    Raises:
        Refused: counts do not reconcile, a gate failed, a newer generation serves, or this one was overtaken.
    """
    began = time.perf_counter()
    allowed = int(settings.max_refused_share * plan.documents)
    if report.refused > allowed:
        first = report.ledger[0] if report.ledger else None
        told = f", the first is {first.id}: {first.reason}" if first else ""
        raise Refused(
            f"the engine refused {report.refused} documents, {allowed} are allowed{told}", where=plan.generation
        )
    try:
        engine.refresh(",".join(plan.indices.values()))
    except IndexMissing as error:
        raise swept(plan.generation) from error
    documents = _reconcile(engine, plan, refused=report.refused)
    verdicts = check_gates(engine, plan, settings.gates, figures)
    settle(engine, plan, settings)
    switch(engine, plan)
    retired = retire(engine, plan)
    return Finished(
        plan.generation, plan.replaces, documents, tuple(verdicts), tuple(retired), time.perf_counter() - began, report
    )


def settle(engine: Engine, plan: PublishPlan, settings: PublishSettings) -> None:
    """What loading did without: refreshes and replicas."""
    settled = {"index.refresh_interval": settings.refresh_interval, "index.number_of_replicas": settings.replicas}
    engine.put_settings(",".join(plan.indices.values()), settled)


def abort(engine: Engine, plan: PublishPlan) -> None:
    """Removes the half-written generation; one that serves already is left alone. May be called twice.

    What it was copied from serves on, and takes writes again.
    """
    discard(engine, plan.target)
    with suppress(IndexMissing):
        open_to_writes(engine, *plan.clones.values())


def _create(engine: Engine, plan: PublishPlan) -> None:
    # The main index first: it is what tells that a generation exists, so its side indices are never orphans.
    for alias in (plan.alias, why_alias(plan.alias), users_alias(plan.alias)):
        index = plan.indices[alias]
        body = {**plan.bodies[alias], "aliases": {index + WRITING: {}}}
        if alias in plan.clones:
            _clone(engine, plan.clones[alias], index, body)
        else:
            engine.create_index(index, body)


def _clone(engine: Engine, source: str, index: str, body: Mapping[str, Any]) -> None:
    # What has been copied is never written again, so its seal may stay: reading, rolling back and deleting need none.
    engine.close_to_writes(source)
    # A copy has as many shards as what it is copied from.
    settings = {name: value for name, value in body["settings"].items() if name != "index.number_of_shards"}
    engine.clone_index(source, index, {"settings": settings, "aliases": body["aliases"]})
    engine.put_mapping(index, {"_meta": body["mappings"]["_meta"]})


def _reconcile(engine: Engine, plan: PublishPlan, *, refused: int) -> int:
    documents = engine.count(plan.generation)
    users = engine.count(plan.indices[users_alias(plan.alias)])
    wrong = []
    # A refused document is missing in whichever index it was for.
    if not plan.documents - refused <= documents <= plan.documents:
        wrong.append(f"{documents} documents instead of {plan.documents}")
    if not plan.users - refused <= users <= plan.users:
        wrong.append(f"{users} users instead of {plan.users}")
    if wrong:
        raise Refused(
            f"the counts do not reconcile: {', '.join(wrong)}",
            where=plan.generation,
            hint="the previous ranks keep serving; publish again",
        )
    return documents


def switch(engine: Engine, plan: PublishPlan) -> None:
    """The one atomic change: the plan's generation serves under every alias, what served before does not.

    Raises:
        Refused: something else serves by now than the plan saw, or this generation was swept.
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
    old = now.generation.indices if now else {}
    actions: list[dict[str, Any]] = []
    for alias, index in plan.indices.items():
        if alias in old:
            actions.append({"remove": {"index": old[alias], "alias": alias, "must_exist": True}})
        actions.append({"remove": {"index": index, "alias": index + WRITING, "must_exist": True}})
        # Only one index behind an alias may be its write index: two first publishers cannot both add theirs.
        actions.append({"add": {"index": index, "alias": alias, "is_write_index": True}})
    try:
        engine.update_aliases(actions)
    except (IndexMissing, Conflict, EngineRejected) as error:
        raise Refused(f"somebody else switched first: {error.what}", where=plan.alias, hint="publish again") from error
    except (EngineUnreachable, EngineBusy):
        # The answer was lost, not necessarily the change.
        if engine.get_alias(plan.alias) != [plan.generation]:
            raise
