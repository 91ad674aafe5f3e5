"""The Complete Journey keeps the source contract, and every row of it is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from segments.errors import MissingExtra
from spark_jobs.sources import journey_files as files
from spark_jobs.sources.complete_journey import CompleteJourney, CompleteJourneySettings
from tests.contracts.source import SourceContract, Tables

WEEK_4 = datetime(2017, 1, 16, tzinfo=UTC)
WEEK_5 = datetime(2017, 1, 23, tzinfo=UTC)
YEAR_END = datetime(2018, 1, 1, tzinfo=UTC)


class TestCompleteJourney(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> CompleteJourney:
        return CompleteJourney(CompleteJourneySettings(impressions_per_visit=10))

    @pytest.fixture(scope="class")
    @classmethod
    def until(cls) -> datetime:
        return WEEK_5

    @pytest.fixture(scope="class")
    @classmethod
    def earlier(cls) -> datetime:
        return WEEK_4

    def test_sampled_impressions_weigh_what_was_shown(self, tables: Tables) -> None:
        """Σ 1 / sampling_rate estimates the exact total; its standard error here is 0.3 %."""
        shown = tables["events"].where("kind = 'impression' AND item_kind = 'product'")
        estimate = shown.agg(F.sum(1 / F.col("sampling_rate"))).head()
        exact = tables["exposure_counts"].where("item_kind = 'product'").agg(F.sum("impressions")).head()
        assert estimate is not None
        assert exact is not None
        assert estimate[0] == pytest.approx(exact[0], rel=0.015)

    def test_a_clicked_impression_is_never_sampled_away(self, tables: Tables) -> None:
        events = tables["events"].where("item_kind = 'product'")
        clicked = events.where("kind = 'click'").select("request_id", "item_id")
        rates = events.where("kind = 'impression'").join(clicked, ["request_id", "item_id"]).select("sampling_rate")
        assert [row[0] for row in rates.distinct().collect()] == [1.0]

    def test_one_visit_by_hand(self, tables: Tables) -> None:
        """Household 1029 in store 438, week 3: its list, its clicks and its purchases, from the files themselves."""
        folder = files.package_folder()
        lines = pq.read_table(folder / "transactions.parquet", filters=[("household_id", "=", 1029)]).to_pandas()
        lines = lines[(lines.week == 3)]
        store = int(lines.store_id.mode()[0])
        bought = lines[lines.store_id == store]
        promoted = pq.read_table(
            folder / "promotions.parquet", filters=[("store_id", "=", store), ("week", "=", 3)]
        ).to_pandas()
        clicks = set(bought.product_id) & set(promoted.product_id)
        assert clicks
        events = tables["events"].where(F.col("request_id") == f"h1029-s{store}-w3")
        by_kind: dict[str, list[str]] = {}
        for row in events.collect():
            by_kind.setdefault(row["kind"], []).append(row["item_id"])
            assert row["request_at"].isoformat() == "2017-01-09T00:00:00"
        assert sorted(by_kind["click"]) == sorted(map(str, clicks))
        assert sorted(by_kind["purchase"]) == sorted(map(str, bought.product_id))
        assert {int(item) for item in by_kind["impression"]} <= set(promoted.product_id)

    def test_purchases_say_whether_they_were_discounted(self, tables: Tables) -> None:
        lines = tables["events"].where("kind = 'purchase'")
        counts = {row[0]: row[1] for row in lines.groupBy(F.col("context")["discounted"]).count().collect()}
        assert set(counts) == {"true", "false"}
        assert 0.3 < counts["true"] / sum(counts.values()) < 0.7

    def test_purchases_of_unlisted_products_are_set_aside(self, tables: Tables) -> None:
        reasons = {row[0] for row in tables["refused"].select("reason").distinct().collect()}
        assert reasons == {"the product is not in the file of products"}
        lines = pq.read_table(
            files.package_folder() / "transactions.parquet", columns=["product_id", "week"]
        ).to_pandas()
        known = pq.read_table(files.package_folder() / "products.parquet", columns=["product_id"]).to_pandas()
        before = lines[lines.week <= 4]
        unlisted = ~before.product_id.isin(known.product_id)
        assert tables["refused"].count() == unlisted.sum()
        assert tables["events"].where("kind = 'purchase'").count() == (~unlisted).sum()

    def test_demographics_are_attributes(self, tables: Tables) -> None:
        row = tables["users"].where("user_id = '1'").head()
        assert row is not None
        assert row["attributes"] == {
            "age": "65+",
            "income": "35-49K",
            "home_ownership": "Homeowner",
            "marital_status": "Married",
            "household_size": "2",
            "household_comp": "2 Adults No Kids",
            "kids_count": "0",
        }

    def test_banners_are_campaigns(self, tables: Tables) -> None:
        banners = {row["item_id"]: row for row in tables["items"].where("kind = 'banner'").collect()}
        # 24 and 25 and 26 began before the clock of week 5; 24 ended on 16 January.
        assert {name: row["available"] for name, row in banners.items()} == {"c24": False, "c25": True, "c26": True}
        assert banners["c26"]["title"] == "Campaign 26 (Type B)"
        assert "YOGURT" in banners["c26"]["text"]
        mailed = pq.read_table(files.package_folder() / "campaigns.parquet").to_pandas()
        shown = tables["events"].where("item_kind = 'banner' AND kind = 'impression'")
        assert shown.count() == mailed.campaign_id.isin([24, 25, 26]).sum()


@pytest.fixture(scope="module")
def year(spark: SparkSession) -> Iterator[Tables]:
    source = CompleteJourney(CompleteJourneySettings(impressions_per_visit=1))
    yield source.tables(spark, YEAR_END)
    source.release()


def test_every_impression_and_click_of_the_year_is_counted(year: Tables) -> None:
    """318,957,363 impressions and 317,267 clicks: 12,785 of 20,940,529 promotion rows name a second place."""
    sums = year["exposure_counts"].groupBy("item_kind").agg(F.sum("impressions"), F.sum("clicks")).collect()
    assert {row[0]: (int(row[1]), int(row[2])) for row in sums} == {
        "product": (318_957_363, 317_267),
        "banner": (6_589, 792),
    }


def test_every_purchase_line_of_the_year_is_an_event_or_refused(year: Tables) -> None:
    assert year["events"].where("kind = 'purchase'").count() + year["refused"].count() == 1_469_307
    assert year["refused"].count() == 4_836
    assert year["users"].count() == 2_469
    assert year["events"].where("kind = 'click' AND item_kind = 'product'").count() == 317_267


def test_weeks_follow_the_wall_clock_of_the_stores(spark: SparkSession) -> None:
    lines = files.read(spark, "transactions")
    assert lines.where(files.weeks_column(F.col("ts")) != F.col("week")).count() == 0
    assert files.week_start(49) == datetime(2017, 11, 27, tzinfo=UTC)
    assert files.week_of(datetime(2017, 11, 26, 23, 59, tzinfo=UTC)) == 48


def test_second_places_of_a_product_are_merged_not_counted_twice() -> None:
    """The 12,785 rows, from the file itself: the same product, store and week once more."""
    table = pq.read_table(files.package_folder() / "promotions.parquet", columns=["product_id", "store_id", "week"])
    assert table.num_rows == 20_940_529
    product, store, week = (table[name].to_numpy() for name in table.column_names)
    assert product.max() < 1 << 25
    assert store.max() < 1 << 20
    keys = (product << 26 | store << 6 | week).astype("int64")
    keys.sort()
    assert int((keys[1:] == keys[:-1]).sum()) == 12_785


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"es-ranking\[demo\]"):
        files.package_folder()
