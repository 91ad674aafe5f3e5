"""A small planted shop as tables: lists, lures, cold items, and a variant for every bandit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.lures.settings import LureAction, LureSettings
from spark_jobs.night import Night
from spark_jobs.recipe import VariantRecipe
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

AS_OF = datetime(2026, 2, 2, tzinfo=UTC)
ITEMS = [f"p{i:03d}" for i in range(240)]
LURES = set(ITEMS[:6])
COLD = set(ITEMS[200:])
SEGMENTS = ("all", "d_young", "d_old")


def night_at(spark: SparkSession, folder: Path) -> Night:
    """Every bandit has a variant; its tables stand under the folder."""
    recipe = SimpleNamespace(
        shelves={"product": SimpleNamespace(
            index="no-such-shop", explore=ExploreSettings(prior_strength=500, evidence_days=7),
            lures=LureSettings(actions=(LureAction(top_n=20),)),
            training=SimpleNamespace(seed=1),
            fields=FieldSchema(fields=(Field(name="item"), Field(name="brand_name"))))},
        variants={
            "A": VariantRecipe(scorer="sales"),
            "M": VariantRecipe(scorer="counts", bandit="thompson"),
            "B": VariantRecipe(scorer="model", families=("demographic", "all"), bandit="thompson"),
            "E": VariantRecipe(scorer="model", bandit="epsilon-greedy"),
            "K": VariantRecipe(scorer="model", bandit="kl-ucb"),
            "L": VariantRecipe(scorer="model", bandit="linear-thompson"),
            "C": VariantRecipe(scorer="model", bandit="linucb"),
            "S": VariantRecipe(scorer="model", bandit="softmax"),
            "T": VariantRecipe(scorer="model", bandit="ucb-tuned"),
            "U": VariantRecipe(scorer="model", bandit="ucb1"),
        },
    )  # fmt: skip
    return Night(spark, recipe, AS_OF, str(folder / "tables"), folder / "work")  # type: ignore[arg-type]


def a_night(spark: SparkSession, folder: Path) -> Night:
    """Tables of a shop: 240 items in three lists, six lures with the best scores, forty items hardly seen."""
    night = night_at(spark, folder)
    r = np.random.default_rng(5)
    scores = []
    for variant, segments in (("A", ("all",)), ("M", ("all",)), ("B", SEGMENTS), *((v, ("all",)) for v in "EKLCSTU")):
        for segment in segments:
            for item in ITEMS:
                rate = (0.2 if item in LURES else 0.005 if item in COLD else 0.05) * r.uniform(0.5, 1.5)
                scores.append(("product", variant, segment, item, 50 * rate if variant == "A" else rate))
    events = _events(r)
    frames: dict[str, Any] = {
        "scores": pd.DataFrame(scores, columns=schema_of("scores").fieldNames()),
        "item_features": pd.DataFrame({"item_id": ITEMS, "item_kind": "product",
                                       "list": [f"list{i % 3}" for i in range(len(ITEMS))]}),
        "exposure_counts": pd.DataFrame(
            [(item, "product", AS_OF - timedelta(days=7), AS_OF, 100.0 if item in COLD else 4000.0,
              1.0 if item in COLD else 800.0 if item in LURES else 200.0) for item in ITEMS],
            columns=schema_of("exposure_counts").fieldNames()),
        "user_segments": pd.DataFrame(
            [(f"u{i}", "demographic", ("d_old", "d_young")[i % 2], 1.0, AS_OF - timedelta(days=9)) for i in range(9)],
            columns=schema_of("user_segments").fieldNames()),
        "events": events,
        "items": pd.DataFrame(
            [{"item_id": item, "kind": "product", "title": f"thing {item}", "price": 3.0, "available": True}
             for item in ITEMS]).reindex(columns=schema_of("items").fieldNames()),
    }  # fmt: skip
    for table, frame in frames.items():
        rows = [tuple(_plain(value) for value in row) for row in frame.itertuples(index=False)]
        spread = spark.createDataFrame(rows, schema_of(table))
        if table == "item_features":
            spread = spread.withColumn("brand_name", F.concat(F.lit("brand "), F.right("item_id", F.lit(1))))
        night.warehouse.write(spread, table, night.run)
    return night


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _events(r: np.random.Generator) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for number, item in enumerate(ITEMS):
        for c in range(3 if item in COLD else 40):
            at = AS_OF - timedelta(days=5, minutes=number + c)
            one = {"ts": at, "user_id": f"u{c % 9}", "item_id": item, "item_kind": "product", "request_id": f"r{c}",
                   "request_at": at, "sampling_rate": 1.0}  # fmt: skip
            rows.append({**one, "kind": "click"})
            rows.append({**one, "kind": "impression", "sampling_rate": 1.0})
            rows.append({**one, "kind": "impression", "sampling_rate": 0.0625 / 3})
            if item not in LURES and r.random() < 0.5:
                rows.append({**one, "kind": "dwell", "dwell_ms": 30_000, "ts": at + timedelta(seconds=9)})
    frame = pd.DataFrame(rows).assign(event_id=[f"e{i}" for i in range(len(rows))])
    frame["dwell_ms"] = frame["dwell_ms"].astype("Int64")
    return frame.reindex(columns=schema_of("events").fieldNames())
