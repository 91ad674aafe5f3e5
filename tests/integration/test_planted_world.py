"""A night on a generated world with known truth: planted preferences are recovered, planted lures leave the top."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy.stats import spearmanr

from spark_jobs.fields import FieldSchema
from spark_jobs.models.encoding import Encoder, table_of
from spark_jobs.night import Night
from spark_jobs.nightly import NIGHTLY, run_night
from spark_jobs.recipe import load_recipe
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.sources.world_truth import Truth

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = datetime(2026, 2, 16, tzinfo=UTC)
TOP = 100
World = tuple[Night, Truth]


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    recipe = load_recipe("world")
    # Few brands and lists longer than the hundred places that lures must leave; enough clicks a cell.
    size = {"users": 2400, "products": 900, "brands": 8, "categories": 4, "banners": 10}
    source = recipe.source.model_copy(update={**size, "click_rate": 0.2, "taste": 4.0, "lure_share": 0.04})
    night = Night(spark, recipe.model_copy(update={"source": source}), AS_OF, str(folder / "tables"), folder / "runs")
    run_night(night, NIGHTLY[:-1])
    assert isinstance(source, WorldSettings)
    return night, Truth(source)


def test_planted_preferences_are_recovered(world: World) -> None:
    """Who prefers which brand: mean pCTR against true click rate, over segment × brand cells with 200 clicks or more.

    Once as they are, and once with each brand's own level taken out: what is planted is a segment's taste for a brand.
    """
    night, truth = world
    day = (AS_OF.date() - truth.settings.start).days - 1
    true = truth.cell_click_rate(truth.products, day)
    brand = {item: int(b) for item, b in zip(truth.products.ids, truth.products.brand, strict=True)}
    segment = {name: i for i, name in enumerate(truth.segment_names)}
    lures = truth.lure_ids()
    users = {
        row["user_id"]: segment[f"{row['attributes']['gender']} {row['attributes']['age']}"]
        for row in night.warehouse.read("users", night.run).collect()
    }
    clicks = np.zeros(true.shape)
    events = night.warehouse.read("events", night.run).where("kind = 'click' AND item_kind = 'product'")
    for row in events.groupBy("user_id", "item_id").count().collect():
        if row["item_id"] not in lures:
            clicks[users[row["user_id"]], brand[row["item_id"]]] += row["count"]
    snapshot = night.warehouse.read("user_segments", night.run).where(
        (F.col("family") == "demographic") & (F.col("valid_from") == F.lit(AS_OF.replace(tzinfo=None)))
    )
    cell_of = {row["segment"]: users[row["user_id"]] for row in snapshot.collect()}
    scores = night.warehouse.read("scores", night.run).where("item_kind = 'product' AND variant = 'B'")
    sums, counts = np.zeros(true.shape), np.zeros(true.shape)
    for row in scores.where("segment <> 'all'").collect():
        if row["item_id"] not in lures:
            cell = cell_of[row["segment"]], brand[row["item_id"]]
            sums[cell] += row["pctr"]
            counts[cell] += 1
    told = (clicks >= 200) & (counts > 0)
    assert told.sum() >= 30, f"only {told.sum()} cells have 200 clicks"
    found = sums / np.maximum(counts, 1)
    raw = spearmanr(found[told], true[told]).statistic
    assert raw >= 0.9, f"{raw:.3f} over {told.sum()} cells"
    within = spearmanr(_preference(found, told)[told], _preference(true, told)[told]).statistic
    assert within >= 0.9, f"{within:.3f} over {told.sum()} cells"


def test_what_the_network_must_tell_apart_has_rows_of_its_own(world: World) -> None:
    """Brands or segments that share an embedding row are one to the network, whatever it is trained on."""
    night, _ = world
    examples = night.warehouse.read("examples", night.run)
    for kind, shelf in night.recipe.shelves.items():
        for field in shelf.fields.of_kind("categorical"):
            if field.name == "item":
                continue
            rows = examples.where((F.col("item_kind") == kind) & F.col(field.name).isNotNull())
            values = [row[0] for row in rows.select(field.name).distinct().collect()]
            encoded = Encoder(FieldSchema(fields=(field,))).rows_of(table_of({field.name: values}))
            assert len(np.unique(encoded)) == len(values), f"{kind}: values of {field.name} share a row"


def _preference(rates: NDArray[np.float64], told: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log rates (segments, brands) beside the mean of their brand, over the cells that are told."""
    logs = np.log(np.where(told, rates, np.nan))
    return np.asarray(logs - np.nanmean(logs, axis=0))


def test_planted_lures_leave_the_top_and_honest_items_stay(world: World) -> None:
    night, truth = world
    lures = truth.lure_ids()
    threshold = night.recipe.shelves["product"].lures.threshold
    judged = night.warehouse.read("lures", night.run).where("item_kind = 'product' AND segment = 'all'").collect()
    flagged = {row["item_id"] for row in judged if row["probability"] >= threshold}
    honest = {row["item_id"] for row in judged} - lures
    assert len(flagged & honest) < 0.01 * len(honest)
    ranks = night.warehouse.read("ranks", night.run).where("item_kind = 'product' AND variant <> 'A'")
    shown = ranks.where(F.col("item_id").isin(*lures))
    top = shown.agg(F.avg((F.col("rank") <= TOP).cast("double")).alias("share")).collect()[0]["share"]
    assert top <= 0.05, f"{top:.3f} of the lures' places are among the first {TOP}"
    # Not of a lure too new to be judged: it may have a place of the quota, as any new item.
    sunk = shown.where(F.col("item_id").isin(*flagged) & (F.size("moves") > 0)).select("moves").collect()
    assert sunk
    assert all("lure" in row["moves"][0] for row in sunk)
