"""What lures are judged by, counted by hand: who came back, who paid the full price, whom an item draws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from spark_jobs.lure_counts import lure_counts
from spark_jobs.lures.rules import RULES
from spark_jobs.lures.settings import LureSettings
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
ITEMS = [("a", "SOUP"), ("b", "SOUP"), ("c", "TOYS"), ("quiet", "TOYS")]


def event(days: int, user: str, item: str, kind: str, **more: Any) -> dict[str, Any]:
    at = AS_OF - timedelta(days=days)
    request = f"{user}-{days}"
    return {"event_id": f"{request}-{item}-{kind}", "ts": at, "user_id": user, "item_id": item, "item_kind": "product",
            "kind": kind, "request_id": request, "request_at": at, "sampling_rate": 1.0, **more}  # fmt: skip


def counted(spark: SparkSession, events: list[dict[str, Any]], settings: LureSettings, **segment_of: str) -> Any:
    names = schema_of("events").fieldNames()
    rows = [tuple(one.get(name) for name in names) for one in events]
    segments: DataFrame | None = None
    if segment_of:
        segments = spark.createDataFrame(list(segment_of.items()), "user_id STRING, segment STRING")
    totals = [("a", "product", AS_OF - timedelta(days=7), AS_OF, 50.0, 4.0),
              ("a", "product", AS_OF, AS_OF + timedelta(days=7), 9.0, 9.0)]  # fmt: skip
    found = lure_counts(
        spark.createDataFrame(rows, schema_of("events")),
        spark.createDataFrame(ITEMS, "item_id STRING, list STRING"),
        spark.createDataFrame(totals, schema_of("exposure_counts")),
        kind="product",
        as_of=AS_OF,
        settings=settings,
        segments=segments,
    ).toPandas()
    assert isinstance(found, pd.DataFrame)
    return found.set_index(["segment", "item_id"])


def test_clicks_and_what_follows_them(spark: SparkSession) -> None:
    events = [
        event(20, "u", "a", "click"), event(19, "u", "a", "like"),
        event(10, "u", "a", "click"),
        event(9, "v", "a", "click"), event(9, "v", "a", "dwell", dwell_ms=9_999),
        event(8, "v", "b", "click"), event(8, "v", "b", "purchase", context={"discounted": "true"}),
        event(7, "w", "a", "click"), event(7, "w", "c", "click"), event(6, "w", "c", "purchase"),
        event(5, "x", "a", "click"),
        event(900, "x", "c", "click"), event(-1, "x", "c", "click"),
    ]  # fmt: skip
    told = counted(spark, events, LureSettings(follow_days=5, segment_trials=2), u="young", v="young", w="old", x="old")
    everybody = told.loc["all"]
    assert everybody.loc["a", ["impressions", "clicks", "judged", "followed"]].tolist() == [50, 4, 5, 1]
    # u and x looked at one thing only and tell nothing; w looked at nothing else of SOUP, v did.
    assert everybody.loc["a", ["drawn", "outside"]].tolist() == [2, 1]
    assert everybody.loc["b", ["sold", "full_price", "followed"]].tolist() == [1, 0, 1]
    # A shop that does not say whether an item was discounted is not judged by it.
    assert everybody.loc["c", ["judged", "followed", "sold"]].tolist() == [1, 1, 0]
    assert (everybody.loc["quiet"] == 0).all()
    own = told.drop("all", level="segment")
    assert set(own.index) == {("young", "a"), ("old", "a")}, "who has judged it twice"
    assert own.loc[("young", "a"), ["judged", "followed", "drawn", "outside"]].tolist() == [3, 1, 1, 0]
    assert own.loc[("old", "a"), ["judged", "followed", "drawn", "outside"]].tolist() == [2, 0, 1, 1]


def test_buying_again_and_selling_without_promotion(spark: SparkSession) -> None:
    bought: dict[str, Any] = {"context": {"discounted": "false"}}
    cheaper: dict[str, Any] = {"context": {"discounted": "true"}}
    events = [
        # u buys a, and again in time; v never again; w again, but late; x too near the clock to be judged
        event(90, "u", "a", "purchase", **bought), event(85, "u", "a", "purchase", **cheaper),
        event(90, "v", "a", "purchase", **bought), event(90, "v", "a", "click"),
        event(90, "w", "a", "purchase", **cheaper), event(50, "w", "a", "purchase", **bought),
        event(3, "x", "a", "purchase", **bought),
    ]  # fmt: skip
    told = counted(spark, events, LureSettings(follow="buying_again", follow_days=28)).loc["all"]
    assert told.loc["a", ["judged", "followed"]].tolist() == [3, 1]
    # Two at a discount, one shown in the visit in which it was bought.
    assert told.loc["a", ["sold", "plain"]].tolist() == [6, 3]


def test_an_empty_log_counts_nothing(spark: SparkSession) -> None:
    told = counted(spark, [], LureSettings())
    assert len(told) == len(ITEMS)
    assert told.drop(columns=["impressions", "clicks"]).to_numpy().sum() == 0
    voting = [rule for rules in RULES.values() for rule in rules]
    assert {name for rule in voting for name in (rule.hits, rule.trials)} <= set(told.columns)
