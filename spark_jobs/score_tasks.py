"""What the tasks of step `score` do: load checkpoints once, score blocks of items, one torch thread.

With a cascade the items are read twice: first the cheap model says where each list's bar stands, then both score.
Blocks are of a fixed size, so that a pair's numbers are the same bits both times, however the tables were cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spark_jobs.models.checkpoint import from_parts
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from spark_jobs.models.cascade import Cascade
    from spark_jobs.models.grid import Grid

BLOCK = 4096
Parts = tuple[str, bytes]  # a checkpoint's sidecar and weights


@dataclass(frozen=True)
class Stages:
    """Who scores.

    Attributes:
        deep: the checkpoint that serves.
        cheap: the one that scores before it in a cascade; None: there is none.
        top: how many items of each segment's list go on.
        lists: the column of lists.
        bars: what an item must reach to go on, by list.
    """

    deep: Parts
    cheap: Parts | None = None
    top: int = 0
    lists: str | None = None
    bars: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def load(self) -> Grid | Cascade:
        """The grid, or both."""
        from spark_jobs.models.cascade import Cascade
        from spark_jobs.models.grid import Grid

        deep = Grid(from_parts(*self.deep))
        if self.cheap is None:
            return deep
        return Cascade(Grid(from_parts(*self.cheap)), deep, lists=self.lists, bars=self.bars)


def score_frame(
    ready: DataFrame, stages: Stages, kind: str, segments: dict[str, dict[str, str]], serving: list[tuple[str, str]]
) -> DataFrame:
    """Rows of `scores`.

    Args:
        ready: items with the columns that the checkpoints read, partitioned and sorted by their id.
        stages: who scores.
        kind: item kind of all items.
        segments: segment id → field values.
        serving: (variant, segment) pairs to write.
    """
    context = ready.sparkSession.sparkContext
    if stages.cheap is not None:
        stages = replace(stages, bars=_bars(ready, context.broadcast(stages), segments, top=stages.top))
    return ready.mapInArrow(_scorer(context.broadcast(stages), kind, segments, serving), schema_of("scores"))


def _bars(
    ready: DataFrame, stages: Any, segments: dict[str, dict[str, str]], *, top: int
) -> dict[str, NDArray[np.float64]]:
    """The N-th largest cheap probability of each list in each segment."""
    k = len(segments)

    def tops(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        from spark_jobs.models.cascade import largest

        found: dict[str, NDArray[np.float64]] = {}
        cascade, blocks = _begin(stages, batches)
        viewers = cascade.segments(list(segments.values())) if cascade is not None else None
        for block in blocks:
            for name, chances in cascade.tops(block, viewers, top):
                found[name] = largest(np.concatenate([found[name], chances]), top + 1) if name in found else chances
        for name, chances in found.items():
            yield pa.RecordBatch.from_pydict({"list": [name], "chances": [chances.ravel()]})

    def merged(tops: pa.Table) -> pa.Table:
        import pyarrow as pa

        from spark_jobs.models.cascade import bar_of

        bar = bar_of((chances.values.to_numpy().reshape(-1, k) for chances in tops.column("chances")), top)
        return pa.table({"list": [tops.column("list")[0].as_py()], "bar": [bar]})

    each = ready.mapInArrow(tops, "list string, chances array<double>").groupBy("list")
    bars = each.applyInArrow(merged, "list string, bar array<double>").toArrow()
    return {
        name.as_py(): bar.values.to_numpy() for name, bar in zip(bars.column("list"), bars.column("bar"), strict=True)
    }


def _scorer(
    stages: Any, kind: str, segments: dict[str, dict[str, str]], serving: list[tuple[str, str]]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        column = {name: place for place, name in enumerate(segments)}
        chosen = np.array([column[segment] for _, segment in serving], dtype=np.int64)
        grid, blocks = _begin(stages, batches)
        viewers = grid.segments(list(segments.values())) if grid is not None else None
        for block in blocks:
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


def _begin(stages: Any, batches: Iterable[pa.RecordBatch]) -> tuple[Any, list[pa.Table]]:
    """What a task scores with, and its items in blocks; nothing is loaded where there are none."""
    import pyarrow as pa
    import torch

    received = [batch for batch in batches if batch.num_rows]
    if not received:
        return None, []
    torch.set_num_threads(1)
    items = pa.Table.from_batches(received)
    starts = range(0, items.num_rows, BLOCK)
    return stages.value.load(), [items.slice(start, BLOCK).combine_chunks() for start in starts]


def _repeated(values: list[str], codes: Any) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values, pa.string())).dictionary_decode()
