"""What every source keeps: enrol one by a subclass with `source`, `until`, `earlier` and `window` fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.sources.clock import moment
from spark_jobs.sources.contract import HISTORY, LISTS, Source
from spark_jobs.sources.refuse import EVENT_KINDS, ITEM_KINDS, contract_rules, judge
from spark_jobs.tables import Warehouse, schema_of

Tables = dict[str, DataFrame]


def written(warehouse: Warehouse, frames: Tables, run: str) -> Tables:
    """The tables as a later step reads them: written, checked, read back."""
    for name, frame in frames.items():
        warehouse.write(frame, name, run)
    return {name: warehouse.read(name, run) for name in frames}


class SourceContract:
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> Source:
        raise AssertionError("a subclass brings the source")

    @pytest.fixture(scope="class")
    @classmethod
    def until(cls) -> datetime:
        """A clock with events before it and on its last day."""
        raise AssertionError("a subclass brings the clock")

    @pytest.fixture(scope="class")
    @classmethod
    def earlier(cls, until: datetime) -> datetime:
        """A clock before `until`, with events before it."""
        return until - timedelta(days=7)

    @pytest.fixture(scope="class")
    @classmethod
    def warehouse(cls, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
        folder: Path = tmp_path_factory.mktemp("warehouse")
        return Warehouse(spark, str(folder))

    @pytest.fixture(scope="class")
    @classmethod
    def tables(cls, spark: SparkSession, source: Source, until: datetime, warehouse: Warehouse) -> Iterator[Tables]:
        yield written(warehouse, source.tables(spark, until), "until")
        source.release()

    @pytest.fixture(scope="class")
    @classmethod
    def lists(
        cls, spark: SparkSession, source: Source, until: datetime, earlier: datetime, warehouse: Warehouse
    ) -> Iterator[Tables]:
        yield written(warehouse, source.lists(spark, earlier, until), "lists")
        source.release()

    def test_every_table_with_exactly_its_columns(self, tables: Tables, lists: Tables) -> None:
        assert tuple(tables) == HISTORY
        assert set(lists) == set(LISTS)
        for name, frame in {**tables, **lists}.items():
            assert frame.columns == schema_of(name).fieldNames()
        for name in ("events", "items", "users", "exposure_counts", "visits", "list_items", "visit_clicks"):
            assert {**tables, **lists}[name].count() > 0, name

    def test_no_row_breaks_a_rule(self, tables: Tables) -> None:
        for name in ("events", "items", "users"):
            assert judge(tables[name], name, contract_rules(name)).refused.limit(3).collect() == []

    def test_kinds_are_known(self, tables: Tables) -> None:
        kinds = {tuple(row) for row in tables["events"].select("item_kind", "kind").distinct().collect()}
        assert {item for item, _ in kinds} <= set(ITEM_KINDS)
        assert {("product", "impression"), ("product", "click")} <= kinds
        assert {kind for _, kind in kinds} <= set(EVENT_KINDS)

    def test_nothing_from_the_clock_on(self, tables: Tables, until: datetime) -> None:
        assert tables["events"].where(F.col("ts") >= moment(until)).count() == 0
        assert tables["exposure_counts"].where(F.col("period_end") > moment(until)).count() == 0
        assert tables["users"].where(F.col("registered_at") >= moment(until)).count() == 0

    def test_ids_occur_once(self, tables: Tables) -> None:
        for name, key in (("events", "event_id"), ("items", "item_id"), ("users", "user_id")):
            assert tables[name].count() == tables[name].select(key).distinct().count(), name

    def test_events_are_of_known_items_and_users(self, tables: Tables) -> None:
        items = tables["items"].select("item_id", F.col("kind").alias("item_kind"))
        assert tables["events"].join(items, ["item_id", "item_kind"], "left_anti").limit(3).collect() == []
        # A target household of a campaign may have bought nothing so far.
        events = tables["events"].where("item_kind = 'product'")
        assert events.join(tables["users"], "user_id", "left_anti").limit(3).collect() == []

    def test_a_click_has_its_impression(self, tables: Tables) -> None:
        clicks = tables["events"].where("kind = 'click'")
        shown = tables["events"].where("kind = 'impression'").select("request_id", "item_id")
        assert clicks.join(shown, ["request_id", "item_id"], "left_anti").limit(3).collect() == []

    def test_a_request_has_one_user_and_one_beginning(self, tables: Tables) -> None:
        requests = tables["events"].where("request_id IS NOT NULL").groupBy("request_id")
        facts = requests.agg(F.count_distinct("user_id", "request_at", "item_kind").alias("n"))
        assert facts.where("n > 1").limit(3).collect() == []

    def test_exact_counts_cover_the_events(self, tables: Tables) -> None:
        """Clicks are all kept, so the exact totals of ended periods are known from the events too."""
        counts = tables["exposure_counts"]
        assert counts.where("clicks < 0 OR impressions < 0 OR period_end <= period_start").count() == 0
        total = counts.agg(F.sum("clicks")).head()
        last = counts.agg(F.max("period_end")).head()
        assert total is not None
        assert last is not None
        clicks = tables["events"].where((F.col("kind") == "click") & (F.col("ts") < F.lit(last[0])))
        assert clicks.count() == total[0]

    def test_an_earlier_clock_saw_the_same_past(
        self, spark: SparkSession, source: Source, tables: Tables, earlier: datetime
    ) -> None:
        """What was known then has not changed since: no future leaks into the past."""
        then = source.tables(spark, earlier)["events"].drop("context").persist()
        now = tables["events"].drop("context").where(F.col("ts") < moment(earlier))
        assert then.count() == now.count() > 0
        assert then.exceptAll(now).limit(3).collect() == []
        then.unpersist()
        source.release()

    def test_lists_are_of_the_window(self, lists: Tables, earlier: datetime, until: datetime) -> None:
        inside = (F.col("request_at") >= moment(earlier)) & (F.col("request_at") < moment(until))
        assert lists["visits"].where(~inside).count() == 0
        assert lists["visits"].count() == lists["visits"].select("request_id").distinct().count()

    def test_clicks_are_in_their_lists(self, lists: Tables) -> None:
        assert lists["list_items"].count() == lists["list_items"].distinct().count()
        clicks = lists["visit_clicks"].join(lists["visits"], "request_id")
        assert clicks.count() == lists["visit_clicks"].count()
        assert clicks.join(lists["list_items"], ["list_id", "item_id"], "left_anti").limit(3).collect() == []
        assert lists["visits"].join(lists["list_items"], "list_id", "left_anti").limit(3).collect() == []
