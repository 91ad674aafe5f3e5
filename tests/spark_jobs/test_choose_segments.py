"""Choosing how a brand family is cut: planted tastes are found again, and what cannot stand is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from segments.errors import Refused, UsageError
from segments.families.brand import BrandSettings
from spark_jobs.choose_segments import Candidates, choose_segments
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from spark_jobs.tables import schema_of
from tests.contracts.brand_groups import shoppers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
RECIPE: dict[str, Any] = {
    "name": "planted",
    "source": {"kind": "world"},
    "families": {
        "grade": {"kind": "grade"},
        "brand": {"kind": "brand", "groups": 12, "min_users": 20, "passes": 5},
    },
    "shelves": {"product": {"index": "p", "fields": {"fields": [{"name": "item"}]}, "model": {"kind": "logistic"}}},
    "variants": {"A": {"scorer": "sales"}},
    "default_variant": "A",
}
TRIED = Candidates(topics=(4, 8), groups=(2, 4), held_out_days=28, top=5)


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Four tastes of twelve brands; each brand is one product; purchases a day either side of the date that judges."""
    folder = tmp_path_factory.mktemp("planted")
    night = Night(spark, Recipe.of(RECIPE), AS_OF, str(folder / "tables"), folder / "work")
    moments = (AS_OF - timedelta(days=29), AS_OF - timedelta(days=27))
    parts = []
    for seed, (moment, chosen) in enumerate(zip(moments, (20, 4), strict=True), start=3):
        rows = shoppers(300, seed=seed, chosen=chosen)
        parts.append(pd.DataFrame({"user_id": rows.users, "item_id": rows.brands, "ts": moment.replace(tzinfo=None)}))
    bought = pd.concat(parts, ignore_index=True)
    told = {"event_id": np.arange(len(bought)).astype(str), "item_kind": "product", "kind": "purchase",
            "sampling_rate": 1.0}  # fmt: skip
    frames = {
        "events": bought.assign(**told),
        "items": pd.DataFrame({"item_id": bought["item_id"].unique()}).assign(kind="product", available=True),
        "users": pd.DataFrame({"user_id": bought["user_id"].unique()}),
    }
    for table, frame in frames.items():
        schema = schema_of(table)
        made = spark.createDataFrame(frame)
        if table == "items":
            made = made.withColumn("brand_id", F.col("item_id"))
        nothing = [F.lit(None).alias(name) for name in schema.fieldNames() if name not in made.columns]
        columns = [F.col(field.name).cast(field.dataType) for field in schema.fields]
        night.warehouse.write(made.select("*", *nothing).select(*columns), table, night.run)
    return night


def test_the_planted_number_of_groups_is_chosen_with_its_evidence(night: Night) -> None:
    found = choose_segments(night, "brand", TRIED)
    assert {(row["topics"], row["groups"]) for row in found["candidates"]} == {(4, 2), (4, 4), (8, 2), (8, 4)}
    assert found["chosen"]["groups"] == 4
    assert found["helps"]
    assert found["chosen"]["low"] > 0.1
    assert found["chosen"]["likelihood"] > 0.3
    refused = {row["groups"]: row["refused"] for row in found["candidates"]}
    assert refused[4] is None
    assert "more than 30%" in refused[2]
    kept = json.loads(Path(found["evidence"]).read_text(encoding="utf-8"))
    assert kept["chosen"] == found["chosen"]
    settings = BrandSettings.of(kept["recipe"])
    assert (settings.groups, settings.min_users, settings.documents) == (4, 20, "brands")
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")


def test_what_cannot_stand_is_refused_in_one_line(night: Night) -> None:
    with pytest.raises(Refused, match="more than 30%"):
        choose_segments(night, "brand", TRIED.model_copy(update={"groups": (2,), "topics": (4,)}))
    with pytest.raises(Refused, match="nobody chose anything before"):
        choose_segments(night, "brand", TRIED.model_copy(update={"held_out_days": 50}))
    with pytest.raises(UsageError, match="brand"):
        choose_segments(night, "grade", TRIED)
    with pytest.raises(UsageError, match="documents"):
        choose_segments(night, "brand", TRIED.model_copy(update={"documents": ("brans",)}))
