"""Step `score`: every item for every segment of every variant, into the `scores` table.

Variants scored by one checkpoint share one grid: each distinct segment is scored once, then written for every variant
that serves it. A variant's checkpoint is the one promoted for it (`es-ranking models promote`), else the night's own.
Items are put into a fixed number of partitions by their id and scored in blocks of a fixed size, so that the numbers
are bit for bit the same however the tables before were partitioned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from segments.catalogue import Catalogue
from segments.errors import Refused
from spark_jobs.models.checkpoint import from_parts, read_parts
from spark_jobs.past_scores import SCORERS
from spark_jobs.promoted import Promoted
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from spark_jobs.night import Night

PARTITIONS = 16
BLOCK = 4096


def run(night: Night) -> dict[str, object]:
    """Writes `scores`; returns rows by item kind and the pairs the grid scored.

    Raises:
        Refused: no checkpoint, no features or no catalogue for this run; a promoted checkpoint that wants a field
            this run's items do not have.
        ContractBroken: a checkpoint of another schema than the recipe's.
    """
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    frames: list[DataFrame] = []
    promoted: dict[str, str] = {}
    registry = Promoted.read(night.work)
    for kind in night.recipe.shelves:
        items = _candidates(night, kind)
        for folder, variants in _checkpoints(night, registry, kind).items():
            if folder is not None:
                promoted |= {f"{kind}/{variant}": str(folder) for variant in variants}
            frames.append(_model_scores(night, kind, items, catalogue, variants, promoted=folder))
        for name, variant in night.recipe.variants.items():
            if variant.scorer == "model":
                continue
            scored = SCORERS[variant.scorer](night.warehouse, night.run, as_of=night.as_of, kind=kind, items=items)
            segments = [segment.id for segment in catalogue.segments_of(name)]
            frames.append(
                scored.select(
                    F.lit(kind).alias("item_kind"),
                    F.lit(name).alias("variant"),
                    F.explode(F.array(*map(F.lit, segments))).alias("segment"),
                    "item_id",
                    "pctr",
                )
            )
    scores = reduce(lambda a, b: a.unionByName(b), frames)
    manifest = night.warehouse.write(scores, "scores", night.run)
    figures: dict[str, object] = {
        "rows_out": manifest.rows,
        "segments": len(catalogue.segments),
        "variants": len(night.recipe.variants),
    }
    return {**figures, "promoted": promoted} if promoted else figures


def _candidates(night: Night, kind: str) -> DataFrame:
    """All items of a kind; in an hourly run those that have changed since the night."""
    tables = night.warehouse
    items = tables.read("item_features", night.run).where(F.col("item_kind") == kind)
    if tables.manifest("changes", night.run) is None:
        return items
    changed = tables.read("changes", night.run).select("item_kind", "item_id")
    return items.join(F.broadcast(changed), ["item_kind", "item_id"], "left_semi")


def _checkpoints(night: Night, registry: Promoted, kind: str) -> dict[Path | None, list[str]]:
    """Promoted checkpoint, or None for the night's own → the variants it scores."""
    serving: dict[Path | None, list[str]] = {}
    for name, variant in night.recipe.variants.items():
        if variant.scorer == "model":
            serving.setdefault(registry.checkpoint(kind, name), []).append(name)
    return serving


def _model_scores(
    night: Night, kind: str, items: DataFrame, catalogue: Catalogue, served: list[str], *, promoted: Path | None
) -> DataFrame:
    folder = promoted or night.folder("models") / kind
    parts = read_parts(folder)
    # A checkpoint of another schema is refused here, before a task meets it; a promoted one has its own fields.
    own = None if promoted else night.recipe.shelves[kind].fields
    schema = from_parts(*parts, schema=own, where=str(folder)).schema
    lacking = [field.name for field in schema.of_role("item") if field.name not in items.columns]
    if promoted and lacking:
        raise Refused(
            f"the promoted checkpoint wants fields this run's items do not have: {', '.join(lacking)}",
            where=str(folder),
            hint=f"es-ranking models demote --surface {kind}",
        )
    segments: dict[str, dict[str, str]] = {}
    serving: list[tuple[str, str]] = []
    for name in served:
        for segment in catalogue.segments_of(name):
            segments[segment.id] = dict(segment.values)
            serving.append((name, segment.id))
    names = [field.name for field in schema.of_role("item") if field.name in items.columns]
    ready = (
        items.select("item_id", *(name for name in names if name != "item_id"))
        .repartition(PARTITIONS, "item_id")
        .sortWithinPartitions("item_id")
    )
    broadcast = night.spark.sparkContext.broadcast(parts)
    return ready.mapInArrow(scorer(broadcast, kind, segments, serving), schema_of("scores"))


def scorer(
    parts: Any, kind: str, segments: dict[str, dict[str, str]], serving: list[tuple[str, str]]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function of a task: loads the checkpoint once, scores blocks of items, one torch thread.

    Args:
        parts: broadcast of a checkpoint's (sidecar, weights).
        kind: item kind of all items.
        segments: segment id → field values.
        serving: (variant, segment) pairs to write.
    """

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa
        import torch

        from spark_jobs.models.grid import Grid

        received = [batch for batch in batches if batch.num_rows]
        if not received:
            return
        torch.set_num_threads(1)
        grid = Grid(from_parts(*parts.value))
        viewers = grid.segments(list(segments.values()))
        column = {name: place for place, name in enumerate(segments)}
        chosen = np.array([column[segment] for _, segment in serving], dtype=np.int64)
        items = pa.Table.from_batches(received)
        for start in range(0, items.num_rows, BLOCK):
            block = items.slice(start, BLOCK).combine_chunks()
            chance = grid.score(block, viewers)[:, chosen]
            ids, n = block.column("item_id").combine_chunks(), block.num_rows
            yield pa.RecordBatch.from_arrays(
                [
                    _repeated([kind], np.zeros(n * len(serving), dtype=np.int32)),
                    _repeated([name for name, _ in serving], np.repeat(np.arange(len(serving), dtype=np.int32), n)),
                    _repeated([name for _, name in serving], np.repeat(np.arange(len(serving), dtype=np.int32), n)),
                    pa.concat_arrays([ids] * len(serving)),
                    pa.array(np.ascontiguousarray(chance.T).ravel()),
                ],
                names=["item_kind", "variant", "segment", "item_id", "pctr"],
            )

    return score


def _repeated(values: list[str], codes: Any) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values, pa.string())).dictionary_decode()


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("score", run)


if __name__ == "__main__":
    main()
