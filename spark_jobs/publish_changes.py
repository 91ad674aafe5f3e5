"""Hourly step 8: what differs from what serves is published, as a generation that is a changed copy of the serving one.

Compared are whole documents, rank fields included, with those of the run that serves, whichever that is: after a roll
back the next hour brings everything up to date again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from es_ranking.engine.connect import connect
from es_ranking.publish.delta import plan_delta
from es_ranking.publish.generation import serving, why_alias
from es_ranking.publish.room import checked_space
from segments.errors import Refused
from spark_jobs.es_ranks import Part, main_documents, why_documents, write_generation
from spark_jobs.hour_base import HourBase
from spark_jobs.published_rows import (
    checksum,
    counted,
    differences,
    document_marks,
    document_rows,
    holding,
    reason_rows,
)
from spark_jobs.taste_rows import space_of

if TYPE_CHECKING:
    from es_ranking.engine.contract import Engine
    from es_ranking.publish.generation import Published
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Publishes every shelf's changes. A crash at any moment leaves the previous ranks serving.

    Raises:
        Refused: another generation serves than when the run began, its tables are not those it was published from, a
            gate failed, or counts do not reconcile.
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
    return _changed(night, engine, kind, base, now)


def _changed(night: Night, engine: Engine, kind: str, base: HourBase, now: Published) -> dict[str, object]:
    tables, settings, alias = night.warehouse, night.recipe.publish, now.generation.alias
    with holding() as hold:
        new, old = (hold(document_marks(tables, run, kind)) for run in (night.run, now.meta.run))
        if now.meta.content.get(alias, "") not in {"", checksum(old)}:
            raise Refused(
                f"the tables of run {now.meta.run} are not those that {now.generation.id} was published from",
                where=night.root,
                hint="publish that run again (es-ranking nightly run --step publish), or wait for the next night",
            )
        moved = hold(differences(new, old))
        changes = counted(moved)
        if not changes.share:
            return {"generation": now.generation.id, "written": 0, "removed": 0, "why": "nothing has changed"}
        plan = plan_delta(
            engine, alias, run=night.run, as_of=night.as_of.isoformat(), written=changes.put, added=changes.added,
            removed=changes.removed, content=checksum(new),
        )  # fmt: skip
        checked_space(engine, plan.bytes_needed, settings)
        # What changes keeps its vector, if the night has not made others since; what is new has none before the night.
        same = now.meta.space and now.meta.space == space_of(tables, base.night, night.recipe, kind)
        reasons = reason_rows(tables, night.run, kind, places=settings.why_places)
        documents = document_rows(tables, night.run, kind, vectors=base.night if same else None)
        # Whatever is written anew may have left the first places: its old reasons go first.
        again = F.explode(F.array(F.lit("removed"), F.lit("changed"))).alias("what")
        parts = {
            why_alias(alias): Part(
                reasons, why_documents(settings.why_places), moved=moved.where("what <> 'same'").select("id", again)
            ),
            alias: Part(documents, main_documents(settings.keyword_attributes), moved=moved),
        }
        finished = write_generation(engine, plan, parts, settings=settings)
    return {**finished.to_dict(), "added": changes.added, "removed": changes.removed, "why": plan.why}


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("publish_changes", run)


if __name__ == "__main__":
    main()
