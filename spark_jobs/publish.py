"""Step 8: the ranks become a new generation, which serves at once or not at all.

Where little differs from what serves, an index begins as a copy of the serving one and only what differs is written;
the plan says of each index which, and why. Either way the generation holds the same documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from es_ranking.engine.connect import connect
from es_ranking.publish.generation import serving, users_alias, why_alias
from es_ranking.publish.plan import PublishPlan, plan_publish
from es_ranking.scripts.store import put_scripts
from segments.catalogue import Catalogue
from spark_jobs.es_ranks import Part, main_documents, user_documents, why_documents, write_generation
from spark_jobs.lure_files import lures_of
from spark_jobs.published_rows import (
    TABLES,
    checksum,
    counted,
    differences,
    document_rows,
    holding,
    index_marks,
    reason_rows,
    user_rows,
    with_owned,
)
from spark_jobs.taste_rows import space_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from es_ranking.engine.contract import Engine
    from es_ranking.publish.changes import Changes
    from es_ranking.publish.generation import Published
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Publishes every shelf. A crash at any moment leaves the previous generation serving.

    Raises:
        Refused: a newer generation serves, a gate failed, the counts do not reconcile, or fields or disk do not fit.
        EngineUnreachable: nothing answers.
    """
    engine = connect(opaque_id=f"es-ranking-{night.run}")
    put_scripts(engine)
    told: dict[str, object] = {}
    for kind in sorted(night.recipe.shelves):
        with prepared(night, engine, kind) as (plan, parts):
            finished = write_generation(
                engine, plan, parts, settings=night.recipe.publish, figures=_figures(night, engine, kind)
            )
        copied = {"copied": plan.changes, "rank_fields": plan.rank_fields, "why": plan.why}
        told[kind] = {**finished.to_dict(), **copied}
    return told


def plans(night: Night) -> dict[str, PublishPlan]:
    """What `run` would do now, shelf by shelf; changes nothing.

    Raises:
        Refused: as `run`, as far as that can be seen before anything is written.
        EngineUnreachable: nothing answers.
    """
    engine = connect(opaque_id=f"es-ranking-{night.run}")
    found = {}
    for kind in sorted(night.recipe.shelves):
        with prepared(night, engine, kind) as (plan, _):
            found[kind] = plan
    return found


@contextmanager
def prepared(night: Night, engine: Engine, kind: str) -> Iterator[tuple[PublishPlan, dict[str, Part]]]:
    """The plan for a shelf, and what it writes; the frames are good inside only."""
    tables, settings, alias = night.warehouse, night.recipe.publish, night.recipe.shelves[kind].index
    marks_of = partial(index_marks, tables, kind=kind, alias=alias, places=settings.why_places)
    space = space_of(tables, night.run, night.recipe, kind)
    with holding() as hold:
        marks = {name: hold(frame) for name, frame in marks_of(night.run, as_of=night.as_of).items()}
        moved: dict[str, DataFrame] = {}

        def compare(now: Published, owned: Sequence[str]) -> dict[str, Changes]:
            if any(tables.manifest(name, now.meta.run) is None for name in TABLES):
                return {}
            before = marks_of(now.meta.run, as_of=datetime.fromisoformat(now.meta.as_of))
            for name, frame in before.items():
                old = hold(frame)
                # The run's tables may have been made again since: then they do not say what the index holds.
                if checksum(old) == now.meta.content.get(name):
                    served = with_owned(old, owned) if name == alias else old
                    moved[name] = hold(differences(marks[name], served))
            return {name: counted(frame) for name, frame in moved.items()}

        plan = plan_publish(
            engine,
            alias,
            run=night.run,
            as_of=night.as_of.isoformat(),
            catalogue=Catalogue.load(night.folder("segments") / "catalogue.json"),
            default_variant=night.recipe.default_variant,
            documents=tables.read("item_features", night.run).where(F.col("item_kind") == kind).count(),
            users=marks[users_alias(alias)].count(),
            settings=settings,
            space=space,
            content={name: checksum(frame) for name, frame in marks.items()},
            compare=compare,
        )
        reasons = reason_rows(tables, night.run, kind, places=settings.why_places)
        documents = document_rows(tables, night.run, kind, vectors=night.run if space else None)
        parts = {
            why_alias(alias): Part(reasons, why_documents(settings.why_places)),
            users_alias(alias): Part(user_rows(tables, night.run, night.as_of), user_documents, key="user_id"),
            alias: Part(documents, main_documents(settings.keyword_attributes)),
        }
        yield plan, {name: replace(part, moved=moved.get(name) if name in plan.clones else None)
                     for name, part in parts.items()}  # fmt: skip


def _figures(night: Night, engine: Engine, kind: str) -> dict[str, float]:
    """What the night knows of itself, for the gates: how its probabilities did on held-out visits, and the share of
    lures beside that of the run which serves."""
    path = night.folder("models") / kind / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    told = {"calibration": metrics.get("mean_ratio"), "ece": metrics.get("ece")}
    figures = {name: float(value) for name, value in told.items() if value is not None}
    if off := [one["fails"] for values in metrics.get("segments", {}).values() for one in values.values()]:
        figures["segments_off"] = sum(off) / len(off)
    if (ours := lures_of(night.work, night.run, kind)) is not None:
        figures |= {"lure_share": ours.share, "lure_decisions_read": float(ours.decisions is not None)}
    now = serving(engine, night.recipe.shelves[kind].index)
    if now is not None and (theirs := lures_of(night.work, now.meta.run, kind)) is not None:
        figures["lure_share_before"] = theirs.share
    return figures


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("publish", run)


if __name__ == "__main__":
    main()
