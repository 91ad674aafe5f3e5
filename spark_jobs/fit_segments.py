"""Step 2: cuts users into segments, at several dates, so that training sees what was known then.

A snapshot with `valid_from` d is made from what happened strictly before d; examples join the last snapshot before
their visit, and the one at the clock serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segments.catalogue import Catalogue, Cut, everyone
from segments.errors import Refused
from segments.families.brand import BrandSettings, brand_number, cut_by_brand
from segments.families.crossed import CrossedSettings, cut_by_crossing
from segments.families.demographic import DemographicSettings, cut_by_demographics
from segments.families.grade import GradeSettings, cut_by_grade
from segments.users import write_users
from spark_jobs.features.cluster_plot import draw_clusters
from spark_jobs.features.snapshots import snapshot_dates
from spark_jobs.features.spending import spending_to_date
from spark_jobs.features.taste_snapshots import TasteSnapshots, taste_snapshots
from spark_jobs.history import current_segments
from spark_jobs.night import time_of
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from segments.families.registry import FamilySettings
    from spark_jobs.night import Night

Attributes = dict[str, dict[str, str | None]]
Served = dict[str, dict[str, str]]


def run(night: Night) -> dict[str, object]:
    """Writes `user_segments`, and in the run's `segments` folder the catalogue, the users and a picture a brand family.

    Raises:
        Refused: there are no users.
        UsageError: a family crosses one that does not come before it.
    """
    tables = night.warehouse
    # A row at a time: a million rows at once would stand in memory twice.
    rows = tables.read("users", night.run).select("user_id", "attributes").toLocalIterator()
    users: Attributes = {row["user_id"]: row["attributes"] or {} for row in rows}
    if not users:
        raise Refused("there are no users to cut into segments", where=night.run)
    dates = _dates(night, tables.read("events", night.run))
    last_night = _last_night(night)
    by_date: list[dict[str, Cut]] = [{} for _ in dates]
    tastes: dict[str, TasteSnapshots] = {}
    for name, family in night.recipe.families.items():
        served = last_night.get(name, {})
        for number, cut in enumerate(_cuts(night, name, family, users, dates, by_date, served, tastes)):
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
    for name, found in tastes.items():
        family = night.recipe.families[name]
        if found.clusters[-1].users and isinstance(family, BrandSettings):
            picture = folder / f"{name}.svg"
            draw_clusters(found.clusters[-1], picture, labels=found.labels, prefix=family.prefix,
                          title=f"Users by {name}")  # fmt: skip
    written = tables.write(_frame(night, by_date, dates), "user_segments", night.run).rows
    return {
        "rows_out": written,
        "users": len(users),
        "snapshots": [f"{date:%Y-%m-%d}" for date in dates],
        "segments": len(catalogue.segments),
        "by_family": {name: {s.id: s.users for s in cut.segments} for name, cut in last.items()},
        "without_segment": {name: len(users) - len(cut.segment_of) for name, cut in last.items()},
        "quiet": {name: found.quiet for name, found in tastes.items()},
        "fitted_by": {name: found.backend for name, found in tastes.items()},
        "since_last_night": {
            name: moves(last_night[name], cut.segment_of) for name, cut in last.items() if name in last_night
        },
    }


def moves(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, int]:
    """How many users have come, gone, stayed and moved between two nights' segments of a family."""
    both = before.keys() & now.keys()
    moved = sum(before[user] != now[user] for user in both)
    return {"stayed": len(both) - moved, "moved": moved, "came": len(now) - len(both), "left": len(before) - len(both)}


def _dates(night: Night, events: DataFrame) -> list[datetime]:
    first = events.agg(F.min("ts").cast("string").alias("first")).first()
    if first is None or first["first"] is None:
        raise Refused("there are no events to cut segments from", where=night.run)
    begin = datetime.fromisoformat(first["first"]).replace(tzinfo=UTC)
    return snapshot_dates(begin, night.as_of, every_days=night.recipe.features.snapshot_days)


def _last_night(night: Night) -> Served:
    """Family → user → segment of the newest run before this one; empty if there is none."""
    tables = night.warehouse
    earlier = [run for run in tables.runs("user_segments") if run < night.run]
    found: Served = {}
    if earlier:
        current = current_segments(tables.read("user_segments", earlier[-1]), time_of(earlier[-1]))
        for row in current.toLocalIterator():
            found.setdefault(row["family"], {})[row["user_id"]] = row["segment"]
    return found


def _cuts(
    night: Night,
    name: str,
    family: FamilySettings,
    users: Attributes,
    dates: Sequence[datetime],
    by_date: Sequence[dict[str, Cut]],
    last_night: Mapping[str, str],
    tastes: dict[str, TasteSnapshots],
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
        numbers = {user: brand_number(segment, prefix=family.prefix) for user, segment in last_night.items()}
        known = {user: number for user, number in numbers.items() if number is not None}
        items = night.warehouse.read("items", night.run)
        found = taste_snapshots(events, items, dates, family, users=len(users), last_night=known)
        tastes[name] = found
        for clusters in found.clusters:
            yield cut_by_brand(clusters.group_of, found.labels, family, family=name)
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


def _families_of(users: Attributes, cuts: dict[str, Cut]) -> Iterator[tuple[str, dict[str, str]]]:
    for user in sorted(users):
        yield user, {name: cut.segment_of[user] for name, cut in cuts.items() if user in cut.segment_of}


def _frame(night: Night, by_date: Sequence[dict[str, Cut]], dates: Sequence[datetime]) -> DataFrame:
    """A frame a snapshot, one after the other: millions of users do not all become rows of Python at once."""
    schema = schema_of("user_segments")
    return reduce(
        DataFrame.union,
        (night.spark.createDataFrame(_snapshot(date, cuts), schema) for date, cuts in zip(dates, by_date, strict=True)),
    )


def _snapshot(date: datetime, cuts: Mapping[str, Cut]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"user_id": list(cut.segment_of), "family": name, "segment": list(cut.segment_of.values())})
        for name, cut in cuts.items()
    ]
    empty = pd.DataFrame({"user_id": [], "family": [], "segment": []}, dtype="object")
    frame = pd.concat([empty, *parts], ignore_index=True)
    valid_from = pd.Timestamp(date).tz_localize(None)
    return frame.assign(weight=1.0, valid_from=valid_from).astype({"valid_from": "datetime64[us]"})


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("fit_segments", run)


if __name__ == "__main__":
    main()
