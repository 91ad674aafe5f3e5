"""Step 8: writes the ranks into the engine as a new generation, and switches to it at once or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from es_ranking.engine.connect import connect
from es_ranking.publish.plan import PublishPlan, plan_publish
from es_ranking.publish.switch import begin, finish
from es_ranking.scripts.store import put_scripts
from segments.catalogue import Catalogue
from spark_jobs.es_ranks import aborting, main_documents, user_documents, why_documents, write_parts
from spark_jobs.history import current_segments
from spark_jobs.published_rows import document_rows, reason_rows
from spark_jobs.taste_rows import space_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from es_ranking.engine.contract import Engine
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Publishes every shelf. A crash at any moment leaves the previous generation serving.

    Raises:
        Refused: a newer generation serves, a gate failed, the counts do not reconcile, or fields or disk do not fit.
        EngineUnreachable: nothing answers.
    """
    engine = connect(opaque_id=f"es-ranking-{night.run}")
    put_scripts(engine)
    return {kind: _publish(night, engine, kind) for kind in sorted(night.recipe.shelves)}


def plan_of(night: Night, engine: Engine, kind: str) -> PublishPlan:
    """What publishing this shelf would do; changes nothing."""
    documents = night.warehouse.read("item_features", night.run).where(F.col("item_kind") == kind).count()
    return plan_publish(
        engine,
        night.recipe.shelves[kind].index,
        run=night.run,
        as_of=night.as_of.isoformat(),
        catalogue=Catalogue.load(night.folder("segments") / "catalogue.json"),
        default_variant=night.recipe.default_variant,
        documents=documents,
        users=_users(night).count(),
        settings=night.recipe.publish,
        space=space_of(night.warehouse, night.run, night.recipe, kind),
    )


def _publish(night: Night, engine: Engine, kind: str) -> dict[str, object]:
    settings = night.recipe.publish
    tables = night.warehouse
    plan = plan_of(night, engine, kind)
    space = space_of(tables, night.run, night.recipe, kind)
    documents = document_rows(tables, night.run, kind, vectors=night.run if space else None)
    reasons = reason_rows(tables, night.run, kind, places=settings.why_places)
    targets = begin(engine, plan)
    with aborting(engine, plan):
        report = write_parts(
            (
                (reasons, why_documents(settings.why_places), targets.why),
                (_users(night), user_documents, targets.users),
                (documents, main_documents(settings.keyword_attributes), targets.main),
            ),
            engine=engine,
            settings=settings,
        )
        finished = finish(engine, plan, settings, report=report, figures=_figures(night, kind))
    return {**finished.to_dict(), "rank_fields": plan.rank_fields, "why": plan.why}


def _figures(night: Night, kind: str) -> dict[str, float]:
    """What the training knows of itself, for the gates: predicted over observed clicks on held-out visits."""
    path = night.folder("models") / kind / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    ratio = metrics.get("mean_ratio")
    return {} if ratio is None else {"calibration": float(ratio)}


def _users(night: Night) -> DataFrame:
    current = current_segments(night.warehouse.read("user_segments", night.run), night.as_of)
    return current.groupBy("user_id").agg(F.collect_list(F.struct("family", "segment")).alias("segments"))


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("publish", run)


if __name__ == "__main__":
    main()
