"""What training costs: a step on a table of a million rows by optimiser, and the memory of a streamed epoch.

    python benchmarks/training.py step
    python benchmarks/training.py stream --rows 1000000 4000000

One torch thread; the optimisers take turns, in processor time, which a busy machine distorts least;
the ratio is the median over blocks. Each streamed size runs in a process of its own, which reports its own peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.optimiser import Optimiser
from spark_jobs.models.ranker import Batch, Targets
from spark_jobs.models.reading import read_before
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DeepFMSettings
from spark_jobs.models.training import fit
from spark_jobs.models.training_settings import TrainingSettings

FIELDS = 10
BLOCKS, STEPS = 12, 3


def step(rows: int, batch_size: int) -> dict[str, float]:
    """Milliseconds a step by optimiser; DeepFM with a 64-32 deep part, dimension 16, ten fields, Zipf values."""
    schema = FieldSchema(fields=tuple(Field(name=f"f{k}", buckets=rows // FIELDS - 2) for k in range(FIELDS)))
    encoder = Encoder(schema)
    random = np.random.default_rng(1)
    values = random.zipf(1.1, (64, batch_size, FIELDS)) % (rows // FIELDS - 2) + encoder.neutral + 1
    batches = [Batch(torch.from_numpy(v.astype(np.int32)), torch.zeros(batch_size, 0), torch.zeros(batch_size, 0))
               for v in values]  # fmt: skip
    targets = Targets(torch.from_numpy((random.random(batch_size) < 0.1).astype(np.float32)))
    optimisers = {}
    for name in ("adam", "rowwise_adagrad"):
        settings = TrainingSettings.of({"optimizer": name})
        optimisers[name] = Optimiser(build(DeepFMSettings(dim=16, hidden=(64, 32)), encoder, seed=1), settings)
    spent: dict[str, list[float]] = {name: [] for name in optimisers}
    for block in range(BLOCKS + 1):
        for name, optimiser in optimisers.items():
            started = time.process_time()
            for k in range(STEPS):
                optimiser.step(batches[(block * STEPS + k) % len(batches)], targets, rate=1.0)
            spent[name].append((time.process_time() - started) / STEPS * 1e3)
    times = {name: np.array(each[1:]) for name, each in spent.items()}  # the first block warms up
    return {
        "table_rows": rows, "batch_size": batch_size,
        **{f"{name}_ms": round(float(np.median(each)), 1) for name, each in times.items()},
        "ratio": round(float(np.median(times["adam"] / times["rowwise_adagrad"])), 2),
    }  # fmt: skip


def stream(rows: int, block_rows: int) -> dict[str, float]:
    """One epoch of logistic-sized work over Parquet; peak memory of the process."""
    schema = FieldSchema(fields=(*(Field(name=f"f{k}", buckets=5000) for k in range(8)),
                                 *(Field(name=f"n{k}", kind="numeric") for k in range(4))))  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in").mkdir()
        for part in range(0, rows, 250_000):
            pq.write_table(_table(part, min(250_000, rows - part)), folder / "in" / f"{part}.parquet")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        settings = TrainingSettings(epochs=1, memory_rows=1, block_rows=block_rows, threads=1)
        started = time.perf_counter()
        source = read_before(str(folder / "in"), Encoder(schema), before=2**62, settings=settings,
                             scratch=folder / "shards")  # fmt: skip
        shuffled = time.perf_counter() - started
        fitted = fit(DeepFMSettings(dim=8, hidden=(16,)), Encoder(schema), train=source, valid=None, settings=settings)
        return {
            "rows": rows, "block_rows": block_rows, "shuffle_seconds": round(shuffled, 1),
            "rows_per_second": round(fitted.curve[0]["rows_per_second"]), "rss_before_mb": round(before),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }  # fmt: skip


def _table(start: int, n: int) -> pa.Table:
    random = np.random.default_rng(start)
    place = np.arange(start, start + n)

    def words(values: np.ndarray, prefix: str) -> pa.Array:
        kinds, codes = np.unique(values, return_inverse=True)
        return pa.DictionaryArray.from_arrays(codes.astype(np.int32), [f"{prefix}{k}" for k in kinds.tolist()])

    columns = {
        "request_id": words(place // 20, "r"), "user_id": words(place // 20 % 50_000, "u"),
        "item_id": words(random.integers(0, 4000, n), "i"), "label": (random.random(n) < 0.1).astype(np.float64),
        "sampling_rate": np.ones(n), "request_at": pa.array(place, pa.timestamp("us")),
        **{f"f{k}": words(random.integers(0, 4000, n), "v") for k in range(8)},
        **{f"n{k}": random.random(n) for k in range(4)},
    }  # fmt: skip
    return pa.table(columns)


def main() -> None:
    """Prints one JSON object a line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", choices=("step", "stream"))
    options.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    options.add_argument("--batch-size", type=int, default=4096)
    options.add_argument("--block-rows", type=int, default=200_000)
    options.add_argument("--child", action="store_true", help="this process is the one that is measured")
    given = options.parse_args()
    torch.set_num_threads(1)
    if given.what == "step" or given.child:
        for rows in given.rows:
            found = step(rows, given.batch_size) if given.what == "step" else stream(rows, given.block_rows)
            print(json.dumps(found), flush=True)
        return
    for rows in given.rows:
        command = [sys.executable, __file__, "stream", "--rows", str(rows), "--block-rows", str(given.block_rows)]
        subprocess.run([*command, "--child"], check=True)


if __name__ == "__main__":
    main()
