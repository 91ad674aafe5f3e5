"""Finish a generation whose documents are written: counts, gates, what owners have written meanwhile, the switch."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import IndexMissing
from es_ranking.publish.carry import UnderNight
from es_ranking.publish.catch_up import writes_between
from es_ranking.publish.follow import Followed, Follower
from es_ranking.publish.gates import Verdict, check_gates, verdict_rows
from es_ranking.publish.generation import users_alias
from es_ranking.publish.meta import GenerationMeta
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.removal import retire
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.switch import as_planned, switch
from es_ranking.publish.write import WriteReport, swept
from segments.errors import RankingError, Refused

log = logging.getLogger("es_ranking.publish")


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
    followed: Followed = field(default_factory=Followed)

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
            **asdict(self.followed),
            "seconds": round(self.seconds, 3),
        }


def counted(engine: Engine, plan: PublishPlan, documents: int, *, ours: Mapping[str, int] | None = None) -> PublishPlan:
    """The begun plan with the number of its documents, where only the writers know it; the generation is told, too.

    Args:
        ours: see `GenerationMeta`.
    """
    kept = plan.bodies[plan.alias]["mappings"]["_meta"]
    meta = replace(GenerationMeta.of(kept, where=plan.generation), documents=documents)
    if ours is not None:
        # A copy by the hour holds what owners have written into what it was copied from, if they have.
        theirs = meta.night and meta.settled != plan.since
        meta = replace(meta, ours=dict(ours), settled=meta.settled if theirs else dict(ours))
    engine.put_mapping(plan.generation, {"_meta": {**kept, **meta.to_meta()}})
    return replace(plan, documents=documents)


def finish(
    engine: Engine,
    plan: PublishPlan,
    settings: PublishSettings,
    *,
    report: WriteReport,
    figures: Mapping[str, float] | None = None,
) -> Finished:
    """Refreshes, reconciles the counts, passes the gates, brings what owners have written meanwhile, and switches.

    Args:
        report: what the writers of all indices say, for the share of refused documents.
        figures: what the night knows for the gates, such as `calibration`.

    Raises:
        Refused: counts do not reconcile, a gate failed, a newer generation serves, this one was overtaken, or owners
            write faster than it can follow.
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
    ours = engine.checkpoints(plan.generation)
    plan = counted(engine, plan, documents, ours=ours)
    followed = Followed()
    if plan.replaces is None:
        switch(engine, plan)
    else:
        plan, followed = _follow(engine, plan, settings, ours)
    retired = retire(engine, plan)
    return Finished(
        plan.generation, plan.replaces, plan.documents, tuple(verdicts), tuple(retired), time.perf_counter() - began,
        report, followed,
    )  # fmt: skip


def _follow(
    engine: Engine, plan: PublishPlan, settings: PublishSettings, ours: Mapping[str, int]
) -> tuple[PublishPlan, Followed]:
    """The switch, with all that owners have written since the plan was made; the plan with the documents of then."""
    assert plan.replaces is not None
    as_planned(engine, plan)
    follower = Follower(
        engine, alias=plan.alias, source=plan.replaces, index=plan.generation, since=plan.since, witness=plan.was,
        carrier=UnderNight(engine, plan.generation, settings.keyword_attributes), settings=settings, limits=settings,
    )  # fmt: skip

    def check() -> None:
        nonlocal plan
        if (documents := engine.count(plan.generation)) != plan.documents:
            plan = counted(engine, plan, documents, ours=ours)

    followed = follower.switch(lambda: switch(engine, plan), check=check)
    if followed is None:
        raise Refused(
            f"in {settings.rounds} rounds what owners write could not be brought in {settings.max_block_seconds:g} s",
            where=plan.generation,
            hint="the previous ranks keep serving and owners write; publish again when less is written, or raise "
            "publish.max_block_seconds",
        )
    try:
        engine.delete_index(plan.was, missing_ok=True)
    except RankingError as error:
        log.warning("%s stays until the next publish: %s", plan.was, error)
    return plan, followed


def settle(engine: Engine, plan: PublishPlan, settings: PublishSettings) -> None:
    """What loading did without: refreshes and replicas."""
    settled = {"index.refresh_interval": settings.refresh_interval, "index.number_of_replicas": settings.replicas}
    engine.put_settings(",".join(plan.indices.values()), settled)


def _reconcile(engine: Engine, plan: PublishPlan, *, refused: int) -> int:
    documents = engine.count(plan.generation)
    users = engine.count(plan.indices[users_alias(plan.alias)])
    wrong = []
    # Of what owners have written into a copy, any may be one more or one less.
    unsure = 0
    if plan.alias in plan.clones:
        unsure = plan.unsure + writes_between(plan.since, engine.checkpoints(plan.clones[plan.alias]))
    # A refused document is missing in whichever index it was for.
    if not plan.documents - refused - unsure <= documents <= plan.documents + unsure:
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
