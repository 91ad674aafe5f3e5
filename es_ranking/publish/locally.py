"""The whole publish from one machine, without Spark: begin, write, finish, or clean up."""

from __future__ import annotations

from collections.abc import Mapping

from es_ranking.engine.contract import Engine
from es_ranking.publish.begin import begin, give_up
from es_ranking.publish.finish import Finished, finish
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.write import Documents, write_documents


def publish(
    engine: Engine,
    plan: PublishPlan,
    *,
    documents: Documents,
    reasons: Documents = (),
    users: Documents = (),
    settings: PublishSettings,
    figures: Mapping[str, float] | None = None,
) -> Finished:
    """Executes the plan with (id, document) streams; whatever goes wrong, the previous generation serves on.

    Raises:
        Refused: a gate said no, counts do not reconcile, or a newer publish came first; the half generation is gone.
    """
    targets = begin(engine, plan)
    try:
        report = write_documents(engine, targets.main, documents, settings=settings)
        why = write_documents(engine, targets.why, reasons, settings=settings)
        told = write_documents(engine, targets.users, users, settings=settings)
        return finish(engine, plan, settings, report=report.beside(why, told), figures=figures)
    except BaseException:
        give_up(engine, plan)
        raise
