"""Training from more examples than memory holds: shards in a drawn order, each shuffled when its turn comes.

Memory holds the shard that is being trained on and the one that is prepared meanwhile, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segments.hashing import uniforms
from spark_jobs.models.encoding import SAMPLE, Encoder, Floats
from spark_jobs.models.examples import Examples, joined
from spark_jobs.models.fading import Fading
from spark_jobs.models.feed import Facts
from spark_jobs.models.shards import Shards

SALT = 101


@dataclass(frozen=True)
class Stream:
    """The examples of shards whose visits began at or after `low` and before `high`, microseconds since 1970; those of
    long ago weigh less where they are `fading`."""

    shards: Shards
    streamed = True
    low: int = -(2**63)
    high: int = 2**63 - 1
    fading: Fading | None = None
    facts: Facts = field(init=False)
    latest: int = field(init=False)

    def __post_init__(self) -> None:
        rows, clicks, impressions, clicked, rates, weights = 0, 0.0, 0.0, 0.0, 0.0, 0.0
        latest = self.low
        for shard in range(len(self.shards)):
            for piece in self._pieces(shard, "label", "rate", "weight"):
                label, each = piece["label"], 1.0 / piece["rate"]
                rows, clicks = rows + len(label), clicks + float(label.sum())
                impressions, clicked = impressions + float(each.sum()), clicked + float(each @ label)
                rates += float(piece["rate"].sum())
                own = piece.get("weight")
                if self.fading is not None:
                    own = self.fading.weight(piece["time"], own)
                weights += float(len(label)) if own is None else float(own.sum())
                latest = max(latest, int(piece["time"].max(initial=self.low)))
        n = max(rows, 1)
        facts = Facts(rows, clicks / n, clicked / max(impressions, 1e-12), rates / n, weights / n)
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "latest", latest)

    def __len__(self) -> int:
        return self.facts.rows

    def between(self, low: int, high: int = 2**63 - 1) -> Stream:
        """The part of it in a window of time."""
        return Stream(self.shards, max(low, self.low), min(high, self.high), self.fading)

    def sample(self, rows: int) -> Examples:
        """Whole visits, about so many rows of them, always the same ones; all if there are no more."""
        share = min(1.0, rows / max(len(self), 1))
        parts = []
        for shard in range(len(self.shards)):
            examples = self._read(shard)
            parts.append(examples.where(visit_draws(examples.group) < share) if share < 1.0 else examples)
        return joined(parts)

    def digest(self) -> str:
        """The same for the same examples, however they were partitioned."""
        return f"{self.shards.manifest['digest']}-{self.low}-{self.high}" + (f"-{self.fading}" if self.fading else "")

    def fit(self, encoder: Encoder) -> None:
        """Fits the encoder in one pass."""
        step = max(1, len(self) // SAMPLE)
        met = np.zeros(encoder.layout.table_rows, dtype=np.bool_)
        kept: list[Floats] = [np.zeros((0, len(encoder.numeric)), dtype=np.float32)]
        at = 0
        for shard in range(len(self.shards)):
            for piece in self._pieces(shard, "rows", "numbers"):
                met[piece["rows"].ravel()] = True
                kept.append(piece["numbers"][-at % step :: step].copy())
                at += len(piece["rows"])
        encoder.learn(met, np.concatenate(kept))

    def met(self, encoder: Encoder) -> NDArray[np.bool_]:
        """Which rows of the embedding table occur, (table rows,)."""
        found = np.zeros(encoder.layout.table_rows, dtype=np.bool_)
        for shard in range(len(self.shards)):
            for piece in self._pieces(shard, "rows"):
                found[piece["rows"].ravel()] = True
        return found

    def blocks(self, random: torch.Generator, *, skip: int = 0) -> Iterator[Examples]:
        """One shard after the other in a drawn order."""
        # Drawn here and not when the first block is asked for, which may be in another thread.
        order = torch.randperm(len(self.shards), generator=random).tolist()
        return (self._read(shard) for shard in order[skip:])

    def _read(self, shard: int) -> Examples:
        examples = self.shards.read(shard)
        if self.fading is not None:
            examples = self.fading.of(examples)
        return examples.where((examples.time >= self.low) & (examples.time < self.high))

    def _pieces(self, shard: int, *names: str) -> Iterator[dict[str, NDArray[Any]]]:
        for piece in self.shards.columns(shard, "time", *names):
            chosen = (piece["time"] >= self.low) & (piece["time"] < self.high)
            yield {name: values[chosen] for name, values in piece.items()}


def visit_draws(group: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number of (0, 1) for each row's visit, the same every time."""
    return uniforms(group.view(np.uint64), salt=SALT)
