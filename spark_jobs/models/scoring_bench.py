"""How fast is the grid on this machine, and how near to what its matrix products could give?

Efficiency is pairs a second times the operations of a pair's matrix products (those of crosses, and of a deep part
2(h₁h₂ + h₂h₃ + … + h_last)) over the best rate of fp32 square matrix products, measured with the same threads in the
same run, interleaved with the scoring. Null for models without a deep part.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import torch
from torch import Tensor

from segments.errors import UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.boosted import Boosted
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples
from spark_jobs.models.folding import pair_flops
from spark_jobs.models.grid import ITEMS, Grid
from spark_jobs.models.int8_rows import as_bytes
from spark_jobs.models.ranker import Batch, Ranker
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training import fit
from spark_jobs.models.training_settings import TrainingSettings

SIDE = 1536  # of the square matrices
CHECKED = 64  # items compared with row-by-row prediction
GROWN_FROM = 20_000  # rows that trees are grown from
EVERY = 8  # blocks of items between two looks at the matrix product


def bench_scoring(
    *, items: int, segments: int, model: str, hidden: tuple[int, ...] | None = None, threads: int = 0,
    rows: str = "float32",
) -> dict[str, object]:  # fmt: skip
    """Scores random items × segments with a random network.

    Args:
        items: how many; made block by block, so that memory shows the grid's own.
        segments: how many.
        model: kind.
        hidden: widths of the deep part; None leaves the model's default.
        threads: torch threads, 0 leaves torch's choice.
        rows: float32, or int8: embedding rows as bytes.

    Returns:
        pairs_per_second, gemm_peak_gflops, efficiency, max_abs_diff (probabilities, grid against row by row with the
        same rows), peak_rss_mb, table_mb, rows_logit_diff (largest, against rows of float32), and what was run.

    Raises:
        UsageError: nothing to score, or rows that this model does not have.
    """
    if items < 1 or segments < 1:
        raise UsageError("there must be at least one item and one segment", hint="--items 100000 --segments 50")
    if threads:
        torch.set_num_threads(threads)
    settings = model_settings({"kind": model, **({"hidden": hidden} if hidden is not None else {})})
    encoder = Encoder(_schema())
    network = build(settings, encoder, seed=1)
    with torch.no_grad():
        # An untrained network's logits are all alike; wider weights make the comparison mean something.
        for parameter in network.parameters():
            if parameter.shape and parameter.shape[0] == encoder.layout.table_rows:
                parameter.mul_(30.0)
    if isinstance(network, Boosted):
        network = _grown(settings, encoder)
    whole = Grid(Checkpoint(settings, encoder, network))
    grid = Grid(as_bytes(whole.checkpoint)) if rows == "int8" else whole
    viewers = grid.segments([{f"segment_{f}": str((s * (f + 3)) % 97) for f in range(3)} for s in range(segments)])
    random = np.random.default_rng(1)
    spent, done, peak, checksum = 0.0, 0, 0.0, 0.0
    grid.pairs(_items(encoder, min(items, 512), random), viewers)  # warm
    square = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    for number, start in enumerate(range(0, items, ITEMS)):
        batch = _items(encoder, min(ITEMS, items - start), random)
        if number % EVERY == 0:
            peak = max(peak, *(_gflops(square) for _ in range(3)))
        started = time.perf_counter()
        chance = grid.checkpoint.calibration(grid.pairs(batch, viewers))
        spent += time.perf_counter() - started
        checksum += float(chance.sum())
        done += chance.size
    flops = pair_flops(network.tail)
    rate = done / spent
    return {
        "pairs_per_second": rate,
        "gemm_peak_gflops": peak,
        "efficiency": rate * flops / (peak * 1e9) if flops else None,
        "max_abs_diff": _largest_difference(grid, segments, random),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (1024.0**2 if sys.platform == "darwin" else 1024.0),
        "table_mb": _table_bytes(grid) / 1e6,
        "rows_logit_diff": _rows_difference(whole, grid, random),
        "items": items,
        "segments": segments,
        "model": model,
        "rows": rows,
        "threads": torch.get_num_threads(),
        "mean_probability": checksum / done,
    }


def _schema() -> FieldSchema:
    items = [Field(name=f"item_{f}", buckets=buckets) for f, buckets in enumerate((65_536, 8192, 2048, 1024, 256, 64))]
    numbers = [Field(name=f"number_{f}", kind="numeric") for f in range(6)]
    segments = [Field(name=f"segment_{f}", role="segment", buckets=128) for f in range(3)]
    return FieldSchema(fields=(*items, *numbers, Field(name="text_vector", kind="vector", width=64), *segments))


def _items(encoder: Encoder, n: int, random: np.random.Generator) -> Batch:
    rows = np.empty((n, len(encoder.categorical)), dtype=np.int32)
    for f, field in enumerate(encoder.categorical):
        rows[:, f] = encoder.neutral[f]
        if field.role == "item":
            rows[:, f] = encoder.neutral[f] + 1 + random.integers(0, field.buckets, n)
    numbers = random.standard_normal((n, len(encoder.numeric)), dtype=np.float32)
    vectors = random.standard_normal((n, 64), dtype=np.float32) * 0.1
    return Batch(torch.from_numpy(rows), torch.from_numpy(numbers), torch.from_numpy(vectors))


def _grown(settings: ModelSettings, encoder: Encoder) -> Ranker:
    """Trees that have been grown: untrained ones would have nothing to do."""
    random = np.random.default_rng(2)
    batch = _items(encoder, GROWN_FROM, random)
    group = np.arange(GROWN_FROM) // 20
    label = (batch.numeric[:, 0].numpy() + random.standard_normal(GROWN_FROM) > 1.0).astype(np.float64)
    examples = Examples(
        rows=batch.rows.numpy(), numbers=batch.numeric.numpy(), item=np.arange(GROWN_FROM),
        vectors=batch.vectors.numpy(), label=label, rate=np.ones(GROWN_FROM), group=group, user=group, time=group,
    )  # fmt: skip
    return fit(settings, encoder, train=examples, valid=None, settings=TrainingSettings(epochs=1)).model


def _table_bytes(grid: Grid) -> int:
    """Bytes of everything that has a line for each row of the embedding table."""
    state = grid.model.state_dict().values()
    tables = [value for value in state if value.dim() and len(value) == grid.encoder.layout.table_rows]
    return sum(value.numel() * value.element_size() for value in tables)


def _rows_difference(whole: Grid, grid: Grid, random: np.random.Generator) -> float:
    batch = _items(grid.encoder, CHECKED, random)
    ours, theirs = (each.pairs(batch, each.segments([{}, {"segment_0": "1"}])) for each in (grid, whole))
    return float(np.abs(ours - theirs).max())


def _gflops(square: Tensor) -> float:
    started = time.perf_counter()
    torch.mm(square, square)
    return float(2.0 * SIDE**3 / (time.perf_counter() - started) / 1e9)


def _largest_difference(grid: Grid, segments: int, random: np.random.Generator) -> float:
    """Grid against the network's own forward pass over the expanded rows."""
    encoder = grid.encoder
    batch = _items(encoder, CHECKED, random)
    k = min(segments, 200)
    chosen = [{f"segment_{f}": str((s * (f + 3)) % 97) for f in range(3)} for s in range(k)]
    calibration = grid.checkpoint.calibration
    ours = calibration(grid.pairs(batch, grid.segments(chosen)))
    import pyarrow as pa

    columns = {name: pa.array([row[name] for row in chosen]) for name in chosen[0]}
    viewer = encoder.known(encoder.rows_of(pa.table(columns)))
    segment = encoder.roles("segment")
    worst = 0.0
    with torch.inference_mode():
        for s in range(k):
            rows = batch.rows.numpy().copy()
            rows[:, segment] = viewer[s, segment]
            logits = grid.model(Batch(torch.from_numpy(rows), batch.numeric, batch.vectors)).double().numpy()
            worst = max(worst, float(np.abs(calibration(logits) - ours[:, s]).max()))
    return worst
