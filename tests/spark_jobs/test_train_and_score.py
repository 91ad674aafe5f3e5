"""The steps `train` and `score` on a small planted shelf, on real Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from segments.catalogue import Catalogue, Segment, everyone
from segments.errors import ContractBroken, Refused
from spark_jobs import score, train
from spark_jobs.night import Night
from spark_jobs.recipe import Recipe
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

AS_OF = datetime(2017, 11, 27, tzinfo=UTC)
FIELDS = [
    {"name": "item", "buckets": 128},
    {"name": "brand", "buckets": 32},
    {"name": "item_rate", "kind": "numeric"},
    {"name": "text_vector", "kind": "vector", "width": 3},
    {"name": "demographic", "role": "segment", "buckets": 16},
    {"name": "display", "role": "context", "buckets": 16},
]
RECIPE = {
    "name": "planted",
    "source": {"kind": "world"},
    "families": {},
    "shelves": {
        "product": {
            "index": "products",
            "fields": {"fields": FIELDS},
            "model": {"kind": "deepfm", "dim": 4, "hidden": [16, 8]},
            "training": {"epochs": 4, "learning_rate": 0.01, "threads": 1},
        },
        "banner": {
            "index": "banners",
            "fields": {"fields": FIELDS},
            "model": {"kind": "logistic"},
            "training": {"epochs": 2, "threads": 1},
        },
    },
    "variants": {
        "A": {"scorer": "sales"},
        "M": {"scorer": "counts", "bandit": "thompson"},
        "B0": {"scorer": "model"},
        "B": {"scorer": "model", "families": ["all"]},
    },
    "default_variant": "B",
}
CATALOGUE = Catalogue(
    families=("demographic",),
    segments=(
        everyone(100),
        Segment(id="d_a", family="demographic", values={"demographic": "d_a"}),
        Segment(id="d_b", family="demographic", values={"demographic": "d_b"}),
    ),
    variants={"A": ("all",), "M": ("all",), "B0": ("all",), "B": ("demographic", "all")},
)
ITEMS = 40


def rows(spark: SparkSession, table: str, values: list[dict[str, object]], extra: str = "") -> DataFrame:
    columns = [f"{field.name} {field.dataType.simpleString()}" for field in schema_of(table).fields]
    columns += [part for part in extra.split(", ") if part]
    names = [column.split()[0] for column in columns]
    return spark.createDataFrame([tuple(value.get(name) for name in names) for value in values], ", ".join(columns))


def planted(spark: SparkSession, folder: Path, *, partitions: int = 2) -> Night:
    """People of d_a click the even brand, of d_b the odd one."""
    night = Night(spark, Recipe.of(RECIPE), AS_OF, str(folder / "warehouse"), folder / "work")
    CATALOGUE.write(night.folder("segments") / "catalogue.json")
    random = np.random.default_rng(1)
    examples: list[dict[str, object]] = []
    for kind, visits in (("product", 300), ("banner", 8)):
        for visit in range(visits):
            at = AS_OF - timedelta(days=100 - visit * 100 // visits)
            group = "ab"[visit % 2]
            for item in random.choice(ITEMS, 12, replace=False).tolist():
                likes = (item % 2 == 0) == (group == "a")
                clicked = random.random() < (0.5 if likes else 0.05)
                examples.append(
                    {
                        "request_id": f"{kind}{visit}", "request_at": at.replace(tzinfo=None),
                        "user_id": f"u{visit % 37}",
                        "item_id": f"i{item}", "item_kind": kind, "label": float(clicked), "sampling_rate": 1.0,
                        "item": f"i{item}", "brand": f"b{item % 2}", "item_rate": 0.1 * (item % 5),
                        "demographic": f"d_{group}", "display": str(item % 3),
                    }
                )  # fmt: skip
    features = [
        {
            "item_id": f"i{item}", "item_kind": kind, "list": "all", "item": f"i{item}", "brand": f"b{item % 2}",
            "item_rate": 0.1 * (item % 5), "text_vector": [float(x) for x in random.standard_normal(3)],
        }
        for kind in ("product", "banner")
        for item in range(ITEMS)
    ]  # fmt: skip
    bought = [
        {
            "event_id": f"e{n}", "ts": (AS_OF - timedelta(days=1 + n % 60)).replace(tzinfo=None), "user_id": "u1",
            "item_id": f"i{7 if n % 60 < 20 else 8}", "item_kind": "product", "kind": "purchase", "sampling_rate": 1.0,
        }
        for n in range(120)
    ]  # fmt: skip
    counts = [
        {
            "item_id": f"i{item}", "item_kind": "product", "period_start": datetime(2017, 11, 13),
            "period_end": end, "impressions": 50_000.0, "clicks": float(100 * item),
        }
        for item in range(ITEMS // 2)
        for end in (datetime(2017, 11, 20), datetime(2017, 12, 4))
    ]  # fmt: skip
    extra = "item string, brand string, item_rate double"
    write = night.warehouse.write
    shown = f"{extra}, demographic string, display string"
    write(rows(spark, "examples", examples, shown).repartition(partitions), "examples", night.run)
    write(
        rows(spark, "item_features", features, f"{extra}, text_vector array<float>").repartition(partitions),
        "item_features", night.run,
    )  # fmt: skip
    write(rows(spark, "events", bought), "events", night.run)
    write(rows(spark, "exposure_counts", counts), "exposure_counts", night.run)
    return night


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    made = planted(spark, tmp_path_factory.mktemp("planted"))
    train.run(made)
    score.run(made)
    return made


def scores(night: Night, kind: str, variant: str, segment: str) -> dict[str, float]:
    frame = night.warehouse.read("scores", night.run).where(f"item_kind = '{kind}' AND variant = '{variant}'")
    return {row["item_id"]: row["pctr"] for row in frame.where(f"segment = '{segment}'").collect()}


def test_planted_tastes_of_segments_are_recovered(night: Night) -> None:
    for segment, favourite in (("d_a", 0), ("d_b", 1)):
        found = scores(night, "product", "B", segment)
        assert len(found) == ITEMS
        liked = np.mean([p for item, p in found.items() if int(item[1:]) % 2 == favourite])
        other = np.mean([p for item, p in found.items() if int(item[1:]) % 2 != favourite])
        assert liked > 0.35
        assert other < 0.15
    assert scores(night, "product", "B", "all") == scores(night, "product", "B0", "all"), "one grid serves both"


def test_every_variant_scores_every_item_of_every_segment_it_serves(night: Night) -> None:
    counted = night.warehouse.read("scores", night.run).groupBy("item_kind", "variant", "segment").count().collect()
    served = {("A", "all"), ("M", "all"), ("B0", "all"), ("B", "all"), ("B", "d_a"), ("B", "d_b")}
    assert {(r["item_kind"], r["variant"], r["segment"], r["count"]) for r in counted} == {
        (kind, *pair, ITEMS) for kind in ("product", "banner") for pair in served
    }


def test_sales_and_counts_stop_at_the_clock_and_stay_probabilities(night: Night) -> None:
    sales, counts = scores(night, "product", "A", "all"), scores(night, "product", "M", "all")
    assert sorted(sales, key=sales.__getitem__)[-2:] == ["i8", "i7"], "of the last 28 days"
    # 100·item clicks in 50,000 impressions; the period that ends after the clock is not yet known.
    overall = (sum(100.0 * k for k in range(20)) + 0.5) / (20 * 50_000.0 + 1.0)
    assert counts["i5"] == pytest.approx((500 + 1000 * overall) / 51_000)
    assert counts["i30"] == pytest.approx(overall)
    for found in (sales, counts):
        assert all(0.0 < p < 1.0 for p in found.values())


def test_scores_are_the_same_bits_however_the_tables_are_cut(spark: SparkSession, night: Night, tmp_path: Path) -> None:
    first = {tuple(row) for row in night.warehouse.read("scores", night.run).collect()}
    for partitions in (1, 7):
        again = planted(spark, tmp_path / str(partitions), partitions=partitions)
        train.run(again)
        score.run(again)
        assert {tuple(row) for row in again.warehouse.read("scores", again.run).collect()} == first


def test_figures_and_files_of_a_training(night: Night) -> None:
    folder = night.folder("models") / "product"
    for name in ("checkpoint.json", "configuration.yaml", "metrics.json", "curves.csv", "curves.png"):
        assert (folder / name).is_file()
    assert not (night.folder("models") / "banner" / "curves.csv").read_text().startswith("epoch,train_loss,gauc,\n")


def test_a_checkpoint_of_another_recipe_is_refused(night: Night) -> None:
    fields = [*FIELDS, {"name": "weekday", "role": "context"}]
    other = Recipe.of(
        {**RECIPE, "shelves": {"product": {**RECIPE["shelves"]["product"], "fields": {"fields": fields}}}}
    )  # type: ignore[index]
    with pytest.raises(ContractBroken, match="field weekday is missing"):
        score.run(Night(night.spark, other, night.as_of, night.root, night.work))


def test_steps_out_of_order_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    bare = Night(spark, Recipe.of(RECIPE), AS_OF, str(tmp_path / "warehouse"), tmp_path / "work")
    with pytest.raises(Refused, match="has not been written"):
        train.run(bare)
