"""Hourly step 8: what differs from what serves is published, as a generation that is a changed copy of the serving one.

Compared are whole documents, rank fields included, with those of the run that serves, whichever that is: after a roll
back the next hour brings everything up to date again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from es_ranking.engine.connect import connect
from es_ranking.publish.delta import delete_documents, plan_delta
from es_ranking.publish.generation import serving
from es_ranking.publish.switch import begin, finish
from segments.errors import Refused
from spark_jobs.es_ranks import aborting, main_documents, why_documents, write_parts
from spark_jobs.hour_base import HourBase
from spark_jobs.published_rows import document_marks, document_rows, reason_rows
from spark_jobs.taste_rows import space_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from es_ranking.engine.contract import Engine
    from es_ranking.publish.plan import PublishPlan
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Publishes every shelf's changes. A crash at any moment leaves the previous ranks serving.

    Raises:
        Refused: another generation serves than when the run began, a gate failed, or counts do not reconcile.
        EngineUnreachable: nothing answers.
    """
    engine = connect(opaque_id=f"es-ranking-{night.run}")
    base = HourBase.read(night.work, night.run)
    return {kind: _publish(night, engine, kind, base) for kind in sorted(night.recipe.shelves)}


def _publish(night: Night, engine: Engine, kind: str, base: HourBase) -> dict[str, object]:
    before = base.serving[kind]
    alias = night.recipe.shelves[kind].index
    now = serving(engine, alias)
    if now is not None and now.meta.run == night.run:
        return {"generation": now.generation.id, "written": 0, "removed": 0, "why": "this run serves already"}
    if now is None or now.meta.run != before:
        found = now.generation.id if now else "nothing"
        raise Refused(f"{found} serves by now, not run {before}", where=alias, hint="run the hour again")
    moved = _moved(night, kind, before).persist()
    try:
        counts = {row["what"]: row["count"] for row in moved.groupBy("what").count().collect()}
        written = counts.get("added", 0) + counts.get("changed", 0)
        removed = counts.get("removed", 0)
        if not written and not removed:
            return {"generation": now.generation.id, "written": 0, "removed": 0, "why": "nothing has changed"}
        plan = plan_delta(
            engine, alias, run=night.run, as_of=night.as_of.isoformat(), written=written,
            added=counts.get("added", 0), removed=removed,
        )  # fmt: skip
        # What changes keeps its vector, if the night has not made others since; what is new has none before the night.
        same = now.meta.space and now.meta.space == space_of(night.warehouse, base.night, night.recipe, kind)
        told = _written(night, engine, kind, plan, moved, vectors=base.night if same else None)
    finally:
        moved.unpersist()
    return {**told, "added": counts.get("added", 0), "removed": removed, "why": plan.why}


def _moved(night: Night, kind: str, before: str) -> DataFrame:
    """(item_id, what): documents that are added, changed or removed against the run that serves."""
    new = document_marks(night.warehouse, night.run, kind)
    old = document_marks(night.warehouse, before, kind).withColumnRenamed("mark", "was")
    both = new.join(old, "item_id", "full")
    what = (
        F.when(F.col("was").isNull(), "added")
        .when(F.col("mark").isNull(), "removed")
        .when(F.col("mark") != F.col("was"), "changed")
    )
    return both.select("item_id", what.alias("what")).where(F.col("what").isNotNull())


def _written(
    night: Night, engine: Engine, kind: str, plan: PublishPlan, moved: DataFrame, *, vectors: str | None
) -> dict[str, object]:
    tables, settings = night.warehouse, night.recipe.publish
    gone = [row["item_id"] for row in moved.where("what = 'removed'").collect()]
    put = F.broadcast(moved.where("what <> 'removed'").select("item_id"))
    again = [row["item_id"] for row in moved.collect()]
    reasons = reason_rows(tables, night.run, kind, places=settings.why_places).join(put, "item_id", "left_semi")
    documents = document_rows(tables, night.run, kind, vectors=vectors).join(put, "item_id", "left_semi")
    targets = begin(engine, plan)
    with aborting(engine, plan):
        delete_documents(engine, targets.main, gone, settings=settings)
        # Whatever is written anew may have left the first places: its old reasons go first.
        delete_documents(engine, targets.why, again, settings=settings)
        engine.refresh(targets.why)
        report = write_parts(
            (
                (reasons, why_documents(settings.why_places), targets.why),
                (documents, main_documents(settings.keyword_attributes), targets.main),
            ),
            engine=engine,
            settings=settings,
        )
        return finish(engine, plan, settings, report=report).to_dict()


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("publish_changes", run)


if __name__ == "__main__":
    main()
