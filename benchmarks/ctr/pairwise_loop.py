"""FwFM's training step, ours against a loop over all pairs of fields, as RecBole and others write it.

    python benchmarks/ctr/pairwise_loop.py

Both read one table of the same rows and take the same optimiser's step on the same batches, in turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.optimiser import Optimiser
from spark_jobs.models.ranker import Batch, Ranker, Targets
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.training_settings import TrainingSettings


class PairwiseLoop(nn.Module):
    """Σ_{f<g} r_fg <v_f, v_g> written as a list of products, one a pair, stacked and summed."""

    def __init__(self, rows: int, fields: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(rows, dim) * 0.01)
        self.weight = nn.Parameter(torch.zeros(rows, 1))
        self.strength = nn.Parameter(torch.ones(fields, fields, 1))
        self.fields = fields

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n,)."""
        rows = batch.rows.long()
        embedded = nn.functional.embedding(rows, self.table)
        strength = self.strength.expand(len(rows), -1, -1, -1)
        pairs = [
            embedded[:, f] * embedded[:, g] * strength[:, f, g]
            for f in range(self.fields - 1)
            for g in range(f + 1, self.fields)
        ]
        return torch.stack(pairs, 1).sum((1, 2)) + nn.functional.embedding(rows, self.weight).sum((1, 2))


def main() -> None:
    """Prints seconds a step of both and their ratio."""
    parser = argparse.ArgumentParser(description="FwFM vectorised against a loop over pairs.")
    parser.add_argument("--fields", type=int, default=39)
    parser.add_argument("--rows", type=int, default=100_000, help="of the embedding table")
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    half, each = options.fields // 2, options.rows // options.fields
    names = [Field(name=f"f{f}", buckets=each, role="user" if f < half else "item") for f in range(options.fields)]
    encoder = Encoder(FieldSchema(fields=tuple(names)))
    ours = build(model_settings({"kind": "fwfm", "dim": options.dim, "linear": "weights"}), encoder, seed=1)
    step = Optimiser(ours, TrainingSettings(weight_decay=0.0))
    loop = PairwiseLoop(encoder.layout.table_rows, options.fields, options.dim)
    adam = torch.optim.Adam(loop.parameters(), lr=1e-3, fused=True)
    random = np.random.default_rng(1)
    seconds: dict[str, list[float]] = {"vectorised": [], "loop": []}
    for _ in range(options.turns + 1):  # the first turn warms up
        rows = encoder.neutral + 1 + random.integers(0, each, (options.batch, options.fields), dtype=np.int32)
        nothing = torch.zeros(options.batch, 0)
        batch = Batch(torch.from_numpy(rows), nothing, nothing)
        targets = Targets(torch.from_numpy((random.random(options.batch) < 0.3).astype(np.float32)))
        started = time.process_time()
        step.step(batch, targets, rate=1.0)
        seconds["vectorised"].append(time.process_time() - started)
        started = time.process_time()
        adam.zero_grad(set_to_none=True)
        nn.functional.binary_cross_entropy_with_logits(loop(batch), targets.label).backward()
        adam.step()
        seconds["loop"].append(time.process_time() - started)
    _same(ours, loop, batch)
    fast, slow = (median(values[1:]) for values in (seconds["vectorised"], seconds["loop"]))
    print("| formulation | CPU s a step | × |\n|---|---|---|")
    print(f"| vectorised | {fast:.3f} | 1 |\n| pairwise loop | {slow:.3f} | {slow / fast:.1f} |")


def _same(ours: Ranker, loop: PairwiseLoop, batch: Batch) -> None:
    """Both are the same function: with the same weights they give the same logits."""
    with torch.no_grad():
        weights = dict(ours.named_parameters())
        loop.table.copy_(weights["sides.table"][:, :-1])
        loop.weight.copy_(weights["sides.table"][:, -1:])
        order = dict(ours.named_buffers())["sides.order"]
        both = Batch(batch.rows.index_select(1, order), batch.numeric, batch.vectors)
        f, g = torch.triu_indices(loop.fields, loop.fields, 1)
        loop.strength[f, g, 0] = weights["pairs.strength"]
        few = Batch(*(tensor[:64] for tensor in both)), Batch(*(tensor[:64] for tensor in batch))
        gap = (loop(few[0]) + weights["bias"] - ours(few[1])).abs().max().item()
    if not gap < 1e-4:
        raise SystemExit(f"the two formulations differ by {gap}")


if __name__ == "__main__":
    main()
