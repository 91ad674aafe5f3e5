"""Step 2: cuts users into segments, at several dates, so that training sees what was known then.

A snapshot with `valid_from` d is made from what happened strictly before d; examples join the last snapshot before
their visit, and the one at the clock serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark.sql import functions as F

from segments.catalogue import Catalogue, Cut, everyone
from segments.errors import Refused
from segments.families.brand import BrandSettings, cut_by_brand
from segments.families.crossed import CrossedSettings, cut_by_crossing
from segments.families.demographic import DemographicSettings, cut_by_demographics
from segments.families.grade import GradeSettings, cut_by_grade
from segments.users import write_users
from spark_jobs.features.brand_clusters import NOBODY, BrandClusters, fit_brand_clusters
from spark_jobs.features.cluster_plot import draw_clusters
from spark_jobs.features.snapshots import before_each, snapshot_dates
from spark_jobs.features.spending import spending_to_date
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segments.families.registry import FamilySettings
    from spark_jobs.night import Night

Attributes = dict[str, dict[str, str | None]]


def run(night: Night) -> dict[str, object]:
    """Writes `user_segments`, and in the run's `segments` folder the catalogue, the users and a picture a brand family.

    Raises:
        Refused: there are no users.
        UsageError: a family crosses one that does not come before it.
    """
    tables = night.warehouse
    users = {row["user_id"]: dict(row["attributes"] or {}) for row in tables.read("users", night.run).collect()}
    if not users:
        raise Refused("there are no users to cut into segments", where=night.run)
    events = tables.read("events", night.run)
    dates = _dates(night, events)
    by_date: list[dict[str, Cut]] = [{} for _ in dates]
    pictures: dict[str, BrandClusters] = {}
    for name, family in night.recipe.families.items():
        for number, cut in enumerate(_cuts(night, name, family, users, dates, by_date, pictures)):
            by_date[number][name] = cut
    last = by_date[-1]
    folder = night.folder("segments")
    catalogue = Catalogue(
        run=night.run,
        families=tuple(night.recipe.families),
        segments=(everyone(len(users)), *(segment for cut in last.values() for segment in cut.segments)),
        variants={name: variant.families for name, variant in night.recipe.variants.items()},
    )
    catalogue.write(folder / "catalogue.json")
    write_users(folder / "users.jsonl", _families_of(users, last))
    for name, clusters in pictures.items():
        family = night.recipe.families[name]
        if clusters.users and isinstance(family, BrandSettings):
            draw_clusters(clusters, folder / f"{name}.svg", prefix=family.prefix, title=f"Users by {name}")
    rows = tables.write(_frame(night, by_date, dates), "user_segments", night.run).rows
    return {
        "rows_out": rows,
        "users": len(users),
        "snapshots": [f"{date:%Y-%m-%d}" for date in dates],
        "segments": len(catalogue.segments),
        "by_family": {name: {s.id: s.users for s in cut.segments} for name, cut in last.items()},
    }


def _dates(night: Night, events: DataFrame) -> list[datetime]:
    first = events.agg(F.min("ts").cast("string").alias("first")).first()
    if first is None or first["first"] is None:
        raise Refused("there are no events to cut segments from", where=night.run)
    begin = datetime.fromisoformat(first["first"]).replace(tzinfo=UTC)
    return snapshot_dates(begin, night.as_of, every_days=night.recipe.features.snapshot_days)


def _cuts(
    night: Night,
    name: str,
    family: FamilySettings,
    users: Attributes,
    dates: Sequence[datetime],
    by_date: Sequence[dict[str, Cut]],
    pictures: dict[str, BrandClusters],
) -> Iterator[Cut]:
    """One cut a date."""
    events = night.warehouse.read("events", night.run)
    if isinstance(family, DemographicSettings):
        # Attributes carry no date: they are what is known of the user.
        cut = cut_by_demographics(users, family, family=name)
        yield from (cut for _ in dates)
    elif isinstance(family, GradeSettings):
        for values in _measures(events, users, dates, family):
            yield cut_by_grade(values, family, family=name)
    elif isinstance(family, BrandSettings):
        for clusters in _clusters(night, events, dates, family):
            pictures[name] = clusters
            yield cut_by_brand(clusters.group_of, clusters.labels, family, family=name)
    elif isinstance(family, CrossedSettings):
        for cuts in by_date:
            yield cut_by_crossing(cuts, family, family=name)


def _measures(
    events: DataFrame, users: Attributes, dates: Sequence[datetime], family: GradeSettings
) -> Iterator[dict[str, float]]:
    if family.measure == "spending":
        yield from spending_to_date(events, dates)
        return
    told = {user: attributes[family.measure] for user, attributes in users.items() if attributes.get(family.measure)}
    values = {user: float(value) for user, value in told.items() if value}
    yield from (values for _ in dates)


def _clusters(
    night: Night, events: DataFrame, dates: Sequence[datetime], family: BrandSettings
) -> Iterator[BrandClusters]:
    brands = night.warehouse.read("items", night.run).where("brand_id IS NOT NULL").select("item_id", "brand_id")
    chosen = events.where(F.col("kind").isin(*family.actions)).join(F.broadcast(brands), "item_id")
    previous = NOBODY
    for sums in before_each(chosen, dates, keys=("user_id", "brand_id"), value=F.lit(1.0)):
        index: Any = sums.index
        previous = fit_brand_clusters(
            index.get_level_values(0).tolist(), index.get_level_values(1).tolist(), sums.to_numpy(dtype="float64"),
            family, previous=previous,
        )  # fmt: skip
        yield previous


def _families_of(users: Attributes, cuts: dict[str, Cut]) -> Iterator[tuple[str, dict[str, str]]]:
    for user in sorted(users):
        yield user, {name: cut.segment_of[user] for name, cut in cuts.items() if user in cut.segment_of}


def _frame(night: Night, by_date: Sequence[dict[str, Cut]], dates: Sequence[datetime]) -> DataFrame:
    rows = [
        (user, family, segment, 1.0, pd.Timestamp(date).tz_localize(None))
        for date, cuts in zip(dates, by_date, strict=True)
        for family, cut in cuts.items()
        for user, segment in cut.segment_of.items()
    ]
    schema = schema_of("user_segments")
    frame = pd.DataFrame(rows, columns=schema.fieldNames())
    frame["valid_from"] = frame["valid_from"].astype("datetime64[us]")
    return night.spark.createDataFrame(frame, schema)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("fit_segments", run)


if __name__ == "__main__":
    main()
