"""Pairs (item, segment) a processor second: the grid, our own row-by-row prediction, the peers over expanded rows.

    python benchmarks/scoring/run.py --peers-python /path/to/peers/bin/python
    python benchmarks/scoring/run.py --flat          # memory and pairs a second from 100,000 to 2,000,000 items

Ten item fields and ten segment fields of the same sizes for everybody, one torch thread, contenders in turns. Time is
processor time, a peer's loader process included: a busy machine distorts it least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FIELDS = 10  # a side
SIZES = (50_000, 5000, 2000, 1000, 500, 200, 100, 50, 20, 10)
CASES = (("deepfm", "64-32"), ("fwfm", ""), ("two_tower", "64-32"), ("deepfm", "400-400-400"))
PEER_MODELS = {"fuxictr": {"deepfm", "fwfm", "fm"}, "deepctr": {"deepfm", "fm"}}


def main() -> None:
    """Runs the cases in turns, or the memory sweep, and prints a table."""
    options = _options()
    if options.child:
        print(json.dumps(_ours(json.loads(options.child))))
        return
    if options.flat:
        _flat(options)
        return
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for _ in range(options.repeats):
        for model, hidden in CASES:
            for contender in ("grid", "rows", *(("fuxictr", "deepctr") if options.peers_python else ())):
                # FuxiCTR has no two-tower ranker: its FwFM stands for it, the cheapest of its pairwise models.
                theirs = "fwfm" if model == "two_tower" and contender == "fuxictr" else model
                if contender in PEER_MODELS and theirs not in PEER_MODELS[contender]:
                    continue
                wide = 20 if "400" in hidden else 1
                pairs = options.pairs // wide if contender == "grid" else options.pairs // (100 * wide)
                if contender in PEER_MODELS:
                    result = _peer(options, contender, theirs, hidden or "64-32", pairs)
                else:
                    result = _child(
                        {"how": contender, "model": model, "hidden": hidden, "dim": options.dim,
                         "items": pairs // options.segments, "segments": options.segments}
                    )  # fmt: skip
                print(model, hidden, contender, result, file=sys.stderr, flush=True)
                found.setdefault((model, hidden, contender), []).append(result)
    print(
        "| model | deep | who | pairs/s | grid is × | bare forward pairs/s | share of the matmul peak |\n"
        + "|---" * 7
        + "|"
    )
    for (model, hidden, contender), runs in found.items():
        rate = median(run["pairs_per_second"] for run in runs)
        grids = found[model, hidden, "grid"]
        times = median(a["pairs_per_second"] / b["pairs_per_second"] for a, b in zip(grids, runs, strict=True))
        forward = [run["forward_pairs_per_second"] for run in runs if "forward_pairs_per_second" in run]
        share = [run["efficiency"] for run in runs if run.get("efficiency")]
        print(
            f"| {model} | {hidden} | {contender} | {rate:,.0f} | {times:,.1f} | "
            f"{f'{median(forward):,.0f}' if forward else ''} | {f'{median(share):.2f}' if share else ''} |"
        )


def _flat(options: argparse.Namespace) -> None:
    print("| items | segments | model | deep | pairs/s | peak MB |\n" + "|---" * 6 + "|")
    for model, hidden in (("deepfm", "64-32"), ("two_tower", "64-32")):
        for items in (100_000, 500_000, 2_000_000):
            job = {"how": "grid", "model": model, "hidden": hidden, "dim": options.dim, "items": items, "segments": 20}
            runs = [_child(job) for _ in range(options.repeats)]
            rate, peak = (median(run[key] for run in runs) for key in ("pairs_per_second", "peak_mb"))
            print(f"| {items:,} | 20 | {model} | {hidden} | {rate:,.0f} | {peak:,.0f} |", flush=True)


def _child(job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "--child", json.dumps(job)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _peer(options: argparse.Namespace, contender: str, model: str, hidden: str, pairs: int) -> dict[str, Any]:
    out = Path(options.folder) / contender
    out.mkdir(parents=True, exist_ok=True)
    job = {
        "items": pairs // options.segments, "segments": options.segments, "data": "", "out": str(out.absolute()),
        "contender": contender, "model": model, "sizes": [*SIZES, *SIZES],
        "fields": [f"f{f}" for f in range(2 * FIELDS)], "dim": options.dim, "cross": 3, "epochs": 1,
        "hidden": [int(width) for width in hidden.split("-")],
        "batch": 4096, "learning_rate": 1e-3, "l2": 0.0, "seed": 1, "extra": {},
    }  # fmt: skip
    (out / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [options.peers_python, "-W", "ignore", str(HERE / "expanded.py"), str(out / "job.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent / "ctr")},
        capture_output=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _ours(job: dict[str, Any]) -> dict[str, Any]:
    """Our grid, or our network over the expanded rows; items are made block by block and never kept."""
    import numpy as np
    import torch

    from spark_jobs.fields import Field, FieldSchema
    from spark_jobs.models.checkpoint import Checkpoint
    from spark_jobs.models.encoding import Encoder
    from spark_jobs.models.grid import Grid
    from spark_jobs.models.ranker import Batch
    from spark_jobs.models.registry import build, model_settings

    torch.set_num_threads(1)
    names = [Field(name=f"f{f}", buckets=size, role="segment") for f, size in enumerate(SIZES)]
    names += [Field(name=f"f{FIELDS + f}", buckets=size) for f, size in enumerate(SIZES)]
    encoder = Encoder(FieldSchema(fields=tuple(names)))
    hidden = [int(width) for width in job["hidden"].split("-")] if job["hidden"] else None
    settings = model_settings({"kind": job["model"], "dim": job["dim"], **({"hidden": hidden} if hidden else {})})
    grid = Grid(Checkpoint(settings, encoder, build(settings, encoder, seed=1)))
    random = np.random.default_rng(1)
    empty = torch.zeros(0)
    items, segments, block = job["items"], job["segments"], 8192

    def rows(n: int, *, side: str) -> torch.Tensor:
        found = np.broadcast_to(encoder.neutral, (n, 2 * FIELDS)).copy()
        for f, field in enumerate(encoder.categorical):
            if (field.role == "segment") == (side == "segment"):
                found[:, f] = encoder.neutral[f] + 1 + random.integers(0, field.buckets, n)
        return torch.from_numpy(found)

    def batch(found: torch.Tensor) -> Batch:
        n = len(found)
        return Batch(found, empty.new_zeros((n, 0)), empty.new_zeros((n, 0)))

    viewer = rows(segments, side="segment")
    spent, done = 0.0, 0
    with torch.inference_mode():
        part = grid.model.segment_part(batch(viewer))
        grid.pairs(batch(rows(64, side="item")), part)
        square = torch.randn(1024, 1024)
        peak, efficiency = 0.0, None
        for number, start in enumerate(range(0, items, block)):
            shelf = rows(min(block, items - start), side="item")
            if number % 4 == 0:
                for _ in range(3):
                    began = time.process_time()
                    torch.mm(square, square)
                    peak = max(peak, 2.0 * 1024**3 / (time.process_time() - began))
            began = time.process_time()
            if job["how"] == "grid":
                grid.checkpoint.calibration(grid.pairs(batch(shelf), part))
            else:
                for some in torch.split(shelf, max(1, 4096 // segments)):
                    wide = torch.where(
                        torch.from_numpy(encoder.roles("segment")),
                        viewer.repeat(len(some), 1),
                        some.repeat_interleave(segments, 0),
                    )
                    grid.model(batch(wide)).sigmoid()
            spent += time.process_time() - began
            done += len(shelf) * segments
    if hidden and job["how"] == "grid" and job["model"] != "two_tower":
        widths = [*hidden, 1]
        flops = 2.0 * sum(a * b for a, b in pairwise(widths))
        efficiency = done / spent * flops / peak
    return {
        "pairs_per_second": done / spent,
        "efficiency": efficiency,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pairs a second of the grid and of others.")
    parser.add_argument("--peers-python", help="interpreter of the environment that holds the peers")
    parser.add_argument("--pairs", type=int, default=20_000_000, help="of the grid; the others score a hundredth")
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--flat", action="store_true", help="memory and speed from 100,000 to 2,000,000 items")
    parser.add_argument("--folder", default="runs/benchmarks/scoring")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
