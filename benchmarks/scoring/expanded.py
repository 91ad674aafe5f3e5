"""A peer's prediction over the expanded rows: every item written out once a segment, as its users score a catalogue.

Run under the peers' interpreter; the job names the contender. Weights are random: only speed is looked at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "ctr"))

from contest import Job, processor_seconds


def main() -> None:
    """Prints pairs a second: the library's own predict, loader included, and its bare forward pass."""
    values = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    items, segments = values.pop("items"), values.pop("segments")
    job = Job.of(values)
    torch.set_num_threads(1)
    random = np.random.default_rng(1)
    half = len(job.fields) // 2
    columns = {}
    for f, (name, size) in enumerate(zip(job.fields, job.sizes, strict=True)):
        own = random.integers(0, size, segments if f < half else items)
        columns[name] = np.tile(own, items) if f < half else np.repeat(own, segments)
    pairs = items * segments
    library, forward = {"fuxictr": _fuxictr, "deepctr": _deepctr}[job.contender](job, columns, pairs)
    print(json.dumps({"pairs_per_second": pairs / library, "forward_pairs_per_second": pairs / forward}))


def _fuxictr(job: Job, columns: dict[str, Any], pairs: int) -> tuple[float, float]:
    from fuxictr.pytorch.dataloaders import RankDataLoader
    from fuxictr_run import Network, feature_map

    features = feature_map(job)
    network = Network(job, features)
    rows = Path(job.out) / "expanded.npz"
    np.savez(rows, **columns, label=np.zeros(pairs, dtype=np.int64))
    started = processor_seconds()
    network.predict(
        RankDataLoader(
            features, stage="test", test_data=str(rows), batch_size=job.batch, shuffle=False, data_format="npz"
        )
    )
    library = processor_seconds() - started
    batch = {name: torch.from_numpy(values[: job.batch]) for name, values in columns.items()}
    return library, _steady(lambda: network(batch)) * pairs / len(next(iter(batch.values())))


def _deepctr(job: Job, columns: dict[str, Any], pairs: int) -> tuple[float, float]:
    from deepctr_run import build

    network = build(job)
    started = processor_seconds()
    network.predict(dict(columns), batch_size=job.batch)
    library = processor_seconds() - started
    rows = torch.from_numpy(np.stack([values[: job.batch] for values in columns.values()], 1)).float()
    return library, _steady(lambda: network(rows)) * pairs / len(rows)


def _steady(call: Any, *, times: int = 5) -> float:
    with torch.no_grad():
        call()
        seconds = []
        for _ in range(times):
            started = processor_seconds()
            call()
            seconds.append(processor_seconds() - started)
    return sorted(seconds)[times // 2]


if __name__ == "__main__":
    main()
