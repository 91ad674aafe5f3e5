"""A planted shop where everybody buys the same three things again: only a personal model can know which."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from spark_jobs import train_personal
from spark_jobs.models.checkpoint import load
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from tests.spark_jobs.test_train_and_score import AS_OF, RECIPE, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

USERS, ITEMS = 40, 30
FIELDS = [{"name": "item", "buckets": 128}, {"name": "demographic", "role": "segment", "buckets": 16}]


def planted(spark: SparkSession, folder: Path) -> Night:
    shelf: dict[str, Any] = RECIPE["shelves"]["product"]  # type: ignore[index]
    training = {"epochs": 5, "learning_rate": 0.01, "threads": 1}
    shelves = {"product": {**shelf, "fields": {"fields": FIELDS}, "training": training}}
    night = Night(spark, Recipe.of({**RECIPE, "shelves": shelves}), AS_OF, str(folder / "warehouse"), folder / "work")
    random = np.random.default_rng(4)
    favourites = [set(random.choice(ITEMS, 3, replace=False).tolist()) for _ in range(USERS)]
    examples, bought, visits, listed, clicks = [], [], [], [], []
    for user in range(USERS):
        for week in range(14):
            at = (AS_OF - timedelta(days=7 * (14 - week))).replace(tzinfo=None)
            for item in random.choice(ITEMS, 10, replace=False).tolist():
                clicked = item in favourites[user] and random.random() < 0.8
                examples.append(
                    {
                        "request_id": f"{user}-{week}", "request_at": at, "user_id": f"u{user}", "item_id": f"i{item}",
                        "item_kind": "product", "label": float(clicked), "sampling_rate": 1.0, "item": f"i{item}",
                        "demographic": "d_a",
                    }
                )  # fmt: skip
            bought += [
                {
                    "event_id": f"{user}-{week}-{item}", "ts": at + timedelta(hours=1), "user_id": f"u{user}",
                    "item_id": f"i{item}", "item_kind": "product", "kind": "purchase", "sampling_rate": 1.0,
                }
                for item in favourites[user]
            ]  # fmt: skip
        visit = {"request_id": f"after{user}", "request_at": AS_OF.replace(tzinfo=None), "user_id": f"u{user}"}
        visits.append({**visit, "item_kind": "product", "list_id": "all"})
        clicks += [{"request_id": f"after{user}", "item_id": f"i{item}"} for item in favourites[user]]
    listed = [{"list_id": "all", "item_id": f"i{item}"} for item in range(ITEMS)]
    features = [{"item_id": f"i{k}", "item_kind": "product", "list": "all", "item": f"i{k}"} for k in range(ITEMS)]
    items = [{"item_id": f"i{k}", "kind": "product", "title": f"i{k}", "available": True} for k in range(ITEMS)]
    for table, values, extra in (
        ("examples", examples, "item string, demographic string"),
        ("item_features", features, "item string"),
        ("events", bought, ""),
        ("items", items, ""),
        ("visits", visits, ""),
        ("list_items", listed, ""),
        ("visit_clicks", clicks, ""),
        ("exposure_counts", [], ""),
        ("user_segments", [], ""),
    ):
        night.warehouse.write(rows(spark, table, values, extra), table, night.run)
    return night


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return planted(spark, tmp_path_factory.mktemp("personal"))


def test_own_history_is_what_tells_people_apart(night: Night) -> None:
    figures: dict[str, Any] = train_personal.run(night)
    assert figures["gauc"] > 0.85, "the visits that chose the epoch"
    assert figures["after"]["gauc"] > 0.95, "the visits after the clock"
    assert figures["after"]["visits"] == USERS
    assert figures["after"]["clicks"] == 3 * USERS
    checkpoint = load(night.folder("models") / "personal")
    assert [field.name for field in checkpoint.schema.of_role("user")] == [
        "own_item", "own_item_56d", "own_item_rate", "own_item_days", "own_days",
    ]  # fmt: skip
