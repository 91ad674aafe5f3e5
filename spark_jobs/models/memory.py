"""Examples in the machine's memory as a training's source: one block."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray

from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples
from spark_jobs.models.feed import Facts


class InMemory:
    """All examples at once."""

    streamed = False

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.facts = Facts(
            rows=len(examples),
            clicked=float(examples.label.mean()) if len(examples) else 0.0,
            click_rate=float(np.average(examples.label, weights=1.0 / examples.rate)) if len(examples) else 0.0,
            rate=float(examples.rate.mean()) if len(examples) else 1.0,
            weight=1.0 if examples.weight is None or not len(examples) else float(examples.weight.mean()),
        )

    def digest(self) -> str:
        """The same for the same examples; reads all of them."""
        found = blake2b(digest_size=8)
        for name in ("rows", "numbers", "item", "vectors", "label", "rate", "group", "tasks", "weight"):
            values = getattr(self.examples, name)
            if values is not None:
                found.update(np.ascontiguousarray(values).view(np.uint8).data)
        return found.hexdigest()

    def fit(self, encoder: Encoder) -> None:
        """Fits the encoder on all of them."""
        encoder.fit(self.examples.rows, self.examples.numbers)

    def met(self, encoder: Encoder) -> NDArray[np.bool_]:
        """Which rows of the embedding table occur, (table rows,)."""
        found = np.zeros(encoder.layout.table_rows, dtype=np.bool_)
        found[self.examples.rows.ravel()] = True
        return found

    def blocks(self, random: torch.Generator, *, skip: int = 0) -> Iterator[Examples]:
        """The one block."""
        del random
        if not skip:
            yield self.examples
