"""The field `item_vector`: the source's own vectors, or a file's, pooled and compressed on the way.

The compressor is learnt by the night and kept in its run folder; the hours after it apply the same one, so that a new
item's code means what the night's model has learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from segments.errors import ContractBroken, Refused
from segments.whole import whole
from spark_jobs.hour_base import FILE, HourBase
from spark_jobs.vectors.compressor import Compressor, fit
from spark_jobs.vectors.files import lists
from spark_jobs.vectors.several import one_each

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_jobs.fields import Field
    from spark_jobs.night import Night
    from spark_jobs.vectors.settings import VectorSettings


def item_vectors(night: Night, kind: str, items: DataFrame, field: Field) -> DataFrame:
    """(item_id, the field's vector) of items that have one, as `features.vectors` says.

    Args:
        night: the run.
        kind: `product` or `banner`; each has a compressor of its own.
        items: rows of the table `items`.
        field: its name and width.

    Raises:
        Refused: nothing to learn a compressor from, or an hourly run whose night has kept none.
        ContractBroken: the compressor's codes have another width than the field, or vectors differ in width.
    """
    settings = night.recipe.features.vectors
    given = _given(night, items, settings).where("vector IS NOT NULL")
    if not settings.each and settings.path is None and settings.compress is None and settings.fitted is None:
        return given.select("item_id", F.col("vector").alias(field.name))
    content = _compressor(night, kind, given, field.width)
    if content is not None and (found := Compressor.from_bytes(content)).width != field.width:
        raise ContractBroken(
            f"the compressor gives {found.width} numbers, the field {field.name} has width {field.width}",
            where="features.vectors",
        )
    return given.mapInArrow(_shortened(settings, content, field.name), f"item_id STRING, `{field.name}` ARRAY<FLOAT>")


def _given(night: Night, items: DataFrame, settings: VectorSettings) -> DataFrame:
    """(item_id, vector): an item's several vectors end to end."""
    if settings.path is None:
        return items.select("item_id", "vector")
    rows = night.spark.read.parquet(settings.path).select(
        F.col("item_id").cast("string").alias("item_id"), F.col("vector").cast("array<float>").alias("vector")
    )
    # Sorted: means of floats depend on the order in the last bit, and rows of a file come in any.
    whole = rows.groupBy("item_id").agg(F.flatten(F.sort_array(F.collect_list("vector"))).alias("vector"))
    return whole.join(items.select("item_id"), "item_id", "left_semi")


def _compressor(night: Night, kind: str, given: DataFrame, width: int) -> bytes | None:
    settings = night.recipe.features.vectors
    kept = night.folder("vectors") / f"{kind}.safetensors"
    if settings.fitted is not None:
        content = _read(Path(settings.fitted))
    elif settings.compress is None:
        return None
    elif (night.work / night.run / FILE).is_file():
        base = HourBase.read(night.work, night.run)
        content = _read(night.work / base.night / "vectors" / kept.name)
    else:
        sample = given.orderBy(F.xxhash64("item_id"), "item_id").limit(settings.fit_items).toArrow()
        vectors = one_each(sample.column("vector"), settings.pool, each=settings.each)
        content = fit(settings.compress, vectors, width=width).to_bytes()
    with whole(kept) as fresh:
        fresh.write_bytes(content)
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused("the compressor of the items' vectors is not here", where=str(path),
                      hint="features.vectors; an hour needs its night's --work") from error  # fmt: skip


def _shortened(
    settings: VectorSettings, content: bytes | None, name: str
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def shorten(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        compressor = None if content is None else Compressor.from_bytes(content)
        for batch in batches:
            vectors = one_each(batch.column(1), settings.pool, each=settings.each)
            codes = vectors if compressor is None else compressor.transform(vectors)
            yield pa.RecordBatch.from_arrays([batch.column(0), lists(codes)], names=["item_id", name])

    return shorten
