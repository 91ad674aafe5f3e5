"""What a training loop reads: blocks of examples in a drawn order, cut into steps, with what training hides hidden.

Every draw comes from one generator whose states travel with the steps (`Mark`): a training that was stopped goes on in
the middle of an epoch with the rows, masks and order it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spark_jobs.models.ahead import Ahead
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, Tensors
from spark_jobs.models.masks import Masks
from spark_jobs.models.ranker import Batch, Targets
from spark_jobs.models.training_settings import TrainingSettings


@dataclass(frozen=True)
class Facts:
    """What must be known of all examples before the first step.

    Attributes:
        rows: how many.
        clicked: share of rows that are clicked.
        click_rate: the same of the impressions they stand for, each row 1/rate.
        rate: mean sampling rate.
        weight: mean sample weight.
    """

    rows: int
    clicked: float
    click_rate: float
    rate: float = 1.0
    weight: float = 1.0


class Source(Protocol):
    """Examples in one block or in many."""

    @property
    def facts(self) -> Facts:
        """Of all of them."""

    @property
    def streamed(self) -> bool:
        """Whether the next block is worth preparing meanwhile."""

    def digest(self) -> str:
        """The same for the same examples."""

    def fit(self, encoder: Encoder) -> None:
        """Fits the encoder on all of them."""

    def met(self, encoder: Encoder) -> NDArray[np.bool_]:
        """Which rows of the embedding table occur, (table rows,)."""

    def blocks(self, random: torch.Generator, *, skip: int = 0) -> Iterator[Examples]:
        """The blocks of one epoch in a drawn order, without the first `skip`."""


class Mark(NamedTuple):
    """Where in an epoch a step left off: its block, how many steps of it are done, and the generator's states."""

    block: int
    done: int
    at_epoch: Tensor
    at_block: Tensor
    now: Tensor


class Step(NamedTuple):
    """One step's rows, and where it leaves the feed."""

    batch: Batch
    targets: Targets
    mark: Mark


class Feed:
    """Epochs of steps from a source; `ahead` prepares them in a thread while those before are trained on."""

    def __init__(self, source: Source, encoder: Encoder, settings: TrainingSettings, *, ahead: bool = False) -> None:
        self.ahead = ahead or source.streamed
        self.source, self.encoder, self.settings = source, encoder, settings
        self.size = batch_size(source.facts.rows, settings)
        self.random = torch.Generator().manual_seed(settings.seed)
        self.masks = Masks(encoder, settings)

    def epoch(self, mark: Mark | None = None) -> Iterator[Step]:
        """The steps of one epoch, from a mark on if there is one."""
        steps = self._steps(mark)
        return iter(Ahead(steps, depth=2)) if self.ahead else steps

    def _steps(self, mark: Mark | None) -> Iterator[Step]:
        first, facts = 0, self.source.facts
        if mark is not None:
            first = mark.block
            self.random.set_state(mark.at_epoch)
        at_epoch = self.random.get_state()
        blocks = self.source.blocks(self.random, skip=first)
        made = (Ready(block, self.encoder, self.settings, facts) for block in blocks)
        for place, ready in enumerate(Ahead(made) if self.source.streamed else made, start=first):
            done = 0
            if mark is not None:
                self.random.set_state(mark.at_block)
            at_block = self.random.get_state()
            parts = torch.split(ready.order(self.random), self.size)
            if mark is not None:
                done, parts = mark.done, parts[mark.done :]
                self.random.set_state(mark.now)
                mark = None
            for index in parts:
                done += 1
                if not len(index) or (len(index) == 1 and facts.rows > 1):
                    continue  # batch normalisation needs two rows
                batch = self.masks(ready.data.batch(index), self.random)
                yield Step(batch, ready.targets(index), Mark(place, done, at_epoch, at_block, self.random.get_state()))


class Ready:
    """A block as tensors."""

    def __init__(self, examples: Examples, encoder: Encoder, settings: TrainingSettings, facts: Facts) -> None:
        self.data, self.settings = Tensors(examples, encoder), settings
        self.label = torch.from_numpy(examples.label.astype(np.float32))
        self.offset, weight = None, None
        kept = np.where(examples.label == 1, 1.0, settings.negatives)
        if settings.correction == "offset":
            self.offset = torch.from_numpy(examples.offset() - np.float32(np.log(settings.negatives)))
        if settings.correction == "weights":
            # Scaled to mean 1, so that the learning rate means the same with and without weights.
            weight = (1.0 / examples.rate) * facts.rate / kept
        if examples.weight is not None:
            weight = (1.0 if weight is None else weight) * examples.weight / facts.weight
        self.weight = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        self.tasks = None if examples.tasks is None else torch.from_numpy(examples.tasks)

    def order(self, random: torch.Generator) -> Tensor:
        """The block's rows in a drawn order, unclicked ones left out as the settings say."""
        order = torch.randperm(len(self.data), generator=random)
        if self.settings.negatives == 1.0:
            return order
        draw = random
        if self.settings.negative_method == "uniform":
            draw = torch.Generator().manual_seed(self.settings.seed)
        kept = (torch.rand(len(self.data), generator=draw) < self.settings.negatives) | (self.label == 1.0)
        return order[kept[order]]

    def targets(self, index: Tensor) -> Targets:
        """What the rows of an index are trained on."""
        given = (self.offset, self.weight, self.tasks)
        known = (None if tensor is None else tensor.index_select(0, index) for tensor in given)
        return Targets(self.label.index_select(0, index), *known)


def batch_size(rows: int, settings: TrainingSettings) -> int:
    """Small data takes smaller steps: about a hundred steps an epoch, at least 32 rows a step."""
    return min(settings.batch_size, max(32, rows // 100))
