"""The `Ranker` contract: a network whose logit splits into what the item says, what the viewer says, and how they meet.

For an item i and a viewer s (a segment's row, or one impression's segment, context and user fields)

    logit(i, s) = b_i + b_s + <v_i, v_s> + tail(h_i + h_s)

Logistic regression has only b, FM, FwFM and two towers have b and v, a deep network has h as well: FM's pairwise term
between the two sides is a dot product of sums of embeddings, a deep part's first layer is a sum of an item half and a
viewer half, and so are the first products of DCN's crosses. Each part is computed once an item or once a segment;
`grid.py` combines them into all pairs, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from segments.errors import UsageError
from spark_jobs.fields import FieldSchema, Role
from spark_jobs.models.sides import Seen, Sides

if TYPE_CHECKING:
    from spark_jobs.models.encoding import Encoder
    from spark_jobs.models.examples import Examples
    from spark_jobs.models.learner import Learner
    from spark_jobs.models.training_settings import TrainingSettings


class Batch(NamedTuple):
    """Encoded rows. rows (n, C) integers: rows of the embedding table; numeric (n, N) and vectors (n, W) float32."""

    rows: Tensor
    numeric: Tensor
    vectors: Tensor


class Targets(NamedTuple):
    """What a batch's rows are trained on.

    label (n,) 0 or 1; offset (n,), what sampling added to the log odds, or None; weight (n,) or None; tasks (n, T),
    labels of further tasks (NaN where not known), or None.
    """

    label: Tensor
    offset: Tensor | None = None
    weight: Tensor | None = None
    tasks: Tensor | None = None


class Part(NamedTuple):
    """One side's share of the logit: bias (n,), vector (n, d) or None, hidden (n, h1) or None."""

    bias: Tensor
    vector: Tensor | None = None
    hidden: Tensor | None = None


@dataclass(frozen=True)
class Side:
    """Which columns of a batch one side of the network reads."""

    rows: tuple[int, ...]
    numeric: tuple[int, ...]
    vectors: tuple[tuple[int, int], ...]  # (start, width) of each vector field among the vector columns


@dataclass(frozen=True)
class Layout:
    """What a network needs to know about the fields: table size and the columns of its two sides."""

    table_rows: int
    item: Side
    viewer: Side


def layout_of(schema: FieldSchema) -> Layout:
    """The layout of a schema: `item` fields on one side, all others on the viewer's side.

    Raises:
        UsageError: a vector field that is not an item's.
    """
    categorical, numeric, vectors = (schema.of_kind(kind) for kind in ("categorical", "numeric", "vector"))
    for field in vectors:
        if field.role != "item":
            raise UsageError(f"vector field {field.name} must belong to the item", hint="role: item")
    starts = [sum(field.width for field in vectors[:i]) for i in range(len(vectors))]
    spans = tuple((start, field.width) for start, field in zip(starts, vectors, strict=True))

    def side(roles: frozenset[Role]) -> Side:
        return Side(
            rows=tuple(i for i, field in enumerate(categorical) if field.role in roles),
            numeric=tuple(i for i, field in enumerate(numeric) if field.role in roles),
            vectors=spans if "item" in roles else (),
        )

    return Layout(
        table_rows=sum(field.buckets + 2 for field in categorical),
        item=side(frozenset({"item"})),
        viewer=side(frozenset({"segment", "context", "user"})),
    )


class Ranker(nn.Module):
    """Base of all networks.

    A subclass makes its `sides`, says what each of them contributes (`item_of`, `viewer_of`), and, if it has a deep
    part, gives the `tail`: any module from the sums (n, h) to (n, 1), applied to each row by itself when evaluated.
    """

    tail: nn.Module | None

    def __init__(self, sides: Sides) -> None:
        super().__init__()
        self.sides = sides
        self.bias = nn.Parameter(torch.zeros(()))
        # Registered, not a class attribute: that would hide the module set later under the same name.
        self.register_module("tail", None)

    def item_of(self, seen: Seen) -> Part:
        """What the item side contributes."""
        raise TypeError(f"{type(self).__name__} must define item_of")

    def viewer_of(self, seen: Seen) -> Part:
        """What the viewer side contributes."""
        raise TypeError(f"{type(self).__name__} must define viewer_of")

    def item_part(self, batch: Batch) -> Part:
        """The item side; reads item columns only. The constant of the logit belongs to it."""
        part = self.item_of(self.sides.of_item(batch))
        return part._replace(bias=part.bias + self.bias)

    def viewer_part(self, batch: Batch) -> Part:
        """The viewer side: segment, context and user columns; reads no item column."""
        return self.viewer_of(self.sides.of_viewer(batch))

    def segment_part(self, batch: Batch) -> Part:
        """A segment is a viewer whose context is neutral: the same side of the same network."""
        return self.viewer_part(batch)

    def learner(self, encoder: Encoder, examples: Examples, settings: TrainingSettings) -> Learner | None:
        """What improves this model, where gradient steps do not; `encoder` has been fitted on the examples."""
        del encoder, examples, settings
        return None

    @property
    def size(self) -> int:
        """How many numbers training sets: the parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def start_at(self, log_odds: float) -> None:
        """Sets the constant of the logit, so that training begins at the overall click rate."""
        with torch.no_grad():
            self.bias.fill_(log_odds)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n,) of each row."""
        seen_item, seen_viewer = self.sides(batch)
        item, viewer = self.item_of(seen_item), self.viewer_of(seen_viewer)
        logit = item.bias + viewer.bias + self.bias
        if item.vector is not None and viewer.vector is not None:
            logit = logit + (item.vector * viewer.vector).sum(1)
        if self.tail is not None and item.hidden is not None and viewer.hidden is not None:
            logit = logit + self.tail(item.hidden + viewer.hidden).squeeze(1)
        return logit

    def objective(self, batch: Batch, targets: Targets) -> Tensor:
        """The loss of a batch, a number: logloss of the rows, sampling undone. A subclass may add to it."""
        logit = self(batch)
        if targets.offset is not None:
            logit = logit + targets.offset
        found: Tensor = nn.functional.binary_cross_entropy_with_logits(logit, targets.label, weight=targets.weight)
        return found
