"""The items' vectors on their way into a field: as they are, from a file, pooled, compressed; an hour as its night."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segments.errors import ContractBroken, Refused
from spark_jobs.features.settings import FeatureSettings
from spark_jobs.fields import Field
from spark_jobs.hour_base import HourBase
from spark_jobs.item_vectors import item_vectors
from spark_jobs.night import Night
from spark_jobs.vectors.compressor import Compressor, fit
from spark_jobs.vectors.settings import PcaSettings
from tests.contracts.compressor import curved

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_jobs.recipe import Recipe

FIELD = Field(name="item_vector", kind="vector", width=8)
VECTORS = curved(90)


def night(spark: SparkSession, folder: Path, hour: int = 0, **vectors: Any) -> Night:
    recipe = cast("Recipe", SimpleNamespace(features=FeatureSettings.of({"vectors": vectors})))
    return Night(spark, recipe, datetime(2026, 2, 16, hour, tzinfo=UTC), str(folder), folder)


def items(spark: SparkSession, vectors: Any) -> DataFrame:
    rows = [(f"i{n}", None if vector is None else [float(x) for x in vector]) for n, vector in enumerate(vectors)]
    return spark.createDataFrame(rows, "item_id STRING, vector ARRAY<FLOAT>")


def read(frame: DataFrame) -> dict[str, np.ndarray]:
    return {row["item_id"]: np.array(row["item_vector"], dtype=np.float32) for row in frame.collect()}


def test_as_they_are_where_nothing_is_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    found = read(item_vectors(night(spark, tmp_path), "product", items(spark, [*VECTORS[:3], None]), FIELD))
    assert sorted(found) == ["i0", "i1", "i2"]
    assert np.array_equal(found["i1"], VECTORS[1])
    assert not (tmp_path / "20260216T000000" / "vectors" / "product.safetensors").exists()


def test_a_night_learns_and_its_hours_apply_the_same(spark: SparkSession, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"compress": {"kind": "pca"}}
    first = night(spark, tmp_path, **asked)
    codes = read(item_vectors(first, "product", items(spark, VECTORS).repartition(3), FIELD))
    kept = tmp_path / first.run / "vectors" / "product.safetensors"
    expected = fit(PcaSettings(), VECTORS, width=8)
    assert np.array_equal(Compressor.from_bytes(kept.read_bytes()).method.axes, expected.method.axes)  # type: ignore[attr-defined]
    assert np.allclose([codes[f"i{n}"] for n in range(90)], expected.transform(VECTORS), atol=1e-5)

    hour = night(spark, tmp_path, 9, **asked)
    HourBase(first.run, {}).write(tmp_path, hour.run)
    fresh = curved(2, seed=8)
    later = read(item_vectors(hour, "product", items(spark, fresh), FIELD))
    assert np.allclose([later["i0"], later["i1"]], expected.transform(fresh), atol=1e-5), (
        "two vectors teach nothing new"
    )
    with pytest.raises(Refused, match="compressor"):
        item_vectors(hour, "banner", items(spark, fresh), FIELD)


def test_a_files_vectors_several_an_item(spark: SparkSession, tmp_path: Path) -> None:
    ids = [f"i{n // 2}" for n in range(90)]
    pq.write_table(pa.table({"item_id": ids, "vector": list(VECTORS)}), tmp_path / "images.parquet")
    asked: dict[str, Any] = {"path": str(tmp_path / "images.parquet"), "each": 48, "pool": "max"}
    wide = FIELD.model_copy(update={"width": 48})
    found = read(item_vectors(night(spark, tmp_path, **asked), "product", items(spark, [None] * 3), wide))
    assert sorted(found) == ["i0", "i1", "i2"], "only the run's items"
    assert np.array_equal(found["i1"], VECTORS[2:4].max(axis=0))


def test_a_compressor_kept_before(spark: SparkSession, tmp_path: Path) -> None:
    kept = fit(PcaSettings(), VECTORS, width=8)
    (tmp_path / "mine.safetensors").write_bytes(kept.to_bytes())
    made = night(spark, tmp_path, fitted=str(tmp_path / "mine.safetensors"))
    found = read(item_vectors(made, "product", items(spark, VECTORS[:2]), FIELD))
    assert np.allclose([found["i0"], found["i1"]], kept.transform(VECTORS[:2]), atol=1e-5)
    with pytest.raises(ContractBroken, match="gives 8 numbers"):
        item_vectors(made, "product", items(spark, VECTORS[:2]), FIELD.model_copy(update={"width": 9}))
