"""Hourly step 1: what has happened since the night, laid beside what the night knew, as this run's own tables.

Of what the night read, impressions before the window are left out (they are most of all rows), save those of items
that are new, back or changed: exploration counts them.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from es_ranking.engine.connect import connect
from es_ranking.publish.generation import served
from segments.errors import Refused
from spark_jobs.history import clock
from spark_jobs.hour_base import HourBase
from spark_jobs.night import time_of
from spark_jobs.published_rows import content_marks
from spark_jobs.sources.registry import build_source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from es_ranking.publish.generation import Published
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Writes events, items, users, exposure_counts, user_segments, refused and changes, and keeps the catalogue.

    Raises:
        Refused: nothing serves, what serves is as new as the clock, or the night's tables are not in this warehouse.
        EngineUnreachable: nothing answers.
    """
    base = _base(night)
    base.write(night.work, night.run)
    since = time_of(base.night)
    tables = night.warehouse
    source = build_source(night.recipe.source)
    frames = source.tables(night.spark, night.as_of)
    try:
        for name in ("items", "users", "exposure_counts", "refused"):
            tables.write(frames[name], name, night.run)
        changed = reduce(lambda a, b: a.unionByName(b), (_changes(night, base, kind) for kind in night.recipe.shelves))
        tables.write(changed, "changes", night.run)
        fresh = frames["events"].where(F.col("ts") >= clock(since))
        rows = tables.write(_known(night, base).unionByName(fresh), "events", night.run).rows
    finally:
        source.release()
    tables.write(tables.read("user_segments", base.night), "user_segments", night.run)
    shutil.copyfile(
        night.work / base.night / "segments" / "catalogue.json", night.folder("segments") / "catalogue.json"
    )
    new = tables.read("events", night.run).where(F.col("ts") >= clock(since)).count()
    counted = tables.read("changes", night.run).groupBy("item_kind", "change").count().collect()
    return {
        "night": base.night,
        "serving": base.serving,
        "events": rows,
        "events_since_the_night": new,
        "changes": {f"{row['item_kind']}/{row['change']}": row["count"] for row in sorted(counted)},
    }


def _base(night: Night) -> HourBase:
    engine = connect(opaque_id=f"es-ranking-{night.run}")
    found: dict[str, Published] = {}
    for kind, shelf in night.recipe.shelves.items():
        found[kind] = served(engine, shelf.index)
    last_of = {kind: datetime.fromisoformat(now.meta.as_of) for kind, now in found.items()}
    newest = max(last_of, key=last_of.__getitem__)
    # A run that was killed between two shelves is run again: what it has published serves, the rest follows.
    if last_of[newest] > night.as_of or min(last_of.values()) >= night.as_of:
        raise Refused(
            f"{found[newest].generation.id} is as of {last_of[newest]:%Y-%m-%d %H:%M}; an hour goes on from there",
            where=night.recipe.shelves[newest].index,
            hint="give a later --as-of",
        )
    last = max(now.meta.night or now.meta.run for now in found.values())
    tables = night.warehouse
    wanted = [(name, last) for name in ("events", "items", "user_segments", "item_features", "draws")]
    wanted += [(name, now.meta.run) for now in found.values() for name in ("ranks", "items", "item_features")]
    for name, run in wanted:
        if tables.manifest(name, run) is None:
            raise Refused(
                f"run {run} serves, and its table {name} is not in this warehouse",
                where=night.root,
                hint="name the night's own --warehouse, or run the night again",
            )
    if not (night.work / last / "segments" / "catalogue.json").is_file():
        raise Refused("the night's catalogue is not here", where=str(night.work / last), hint="name the night's --work")
    return HourBase(last, {kind: now.meta.run for kind, now in found.items()})


def _changes(night: Night, base: HourBase, kind: str) -> DataFrame:
    """Items that are new, restocked, changed or sold_out since the night."""
    tables = night.warehouse
    now = content_marks(tables, night.run, kind)
    before = content_marks(tables, base.night, kind).select("item_id", F.col("content").alias("was"))
    ranked = tables.read("item_features", base.night).where(F.col("item_kind") == kind)
    both = (
        now.join(before, "item_id", "full")
        .join(ranked.select("item_id", F.lit(True).alias("ranked")), "item_id", "left")
        .withColumns({"available": F.coalesce("available", F.lit(False)),
                      "ranked": F.coalesce("ranked", F.lit(False))})
    )  # fmt: skip
    change = (
        F.when(F.col("ranked") & ~F.col("available"), "sold_out")
        .when(F.col("available") & F.col("was").isNull(), "new")
        .when(F.col("available") & ~F.col("ranked"), "restocked")
        .when(F.col("available") & (F.col("content") != F.col("was")), "changed")
    )
    told = both.select("item_id", F.lit(kind).alias("item_kind"), change.alias("change"))
    return told.where(F.col("change").isNotNull())


def _known(night: Night, base: HourBase) -> DataFrame:
    events = night.warehouse.read("events", base.night)
    begin = night.as_of - timedelta(hours=night.recipe.continual.window_hours)
    changed = night.warehouse.read("changes", night.run).select("item_kind", "item_id", F.lit(True).alias("changed"))
    kept = (F.col("kind") != "impression") | (F.col("request_at") >= clock(begin)) | F.col("changed").isNotNull()
    return events.join(F.broadcast(changed), ["item_kind", "item_id"], "left").where(kept).select(*events.columns)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("catch_up", run)


if __name__ == "__main__":
    main()
