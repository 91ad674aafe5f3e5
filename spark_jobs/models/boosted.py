"""Boosted trees: Chen, Guestrin, "XGBoost: A Scalable Tree Boosting System", KDD 2016; the honest baseline.

    logit = start + Σ_t tree_t(x),   x = x_item + x_viewer

A field value enters as its click rate and count (log odds and log; Micci-Barreca, SIGKDD Explorations 2001), and, where
the field has few values, as a category; numbers and vectors as they are. Each side fills its own columns of x and
leaves zeros in the other's, so that the trees are the `tail` over a sum, as a network's deep part is: the grid scores
the expanded rows block by block. Neutral values are missing to the trees; values never seen are a value of their own.
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from segments.errors import ContractBroken, MissingExtra
from spark_jobs.models.boosted_settings import BoostedSettings
from spark_jobs.models.ranker import Batch, Layout, Part, Ranker, Side

if TYPE_CHECKING:
    from spark_jobs.models.encoding import Encoder
    from spark_jobs.models.examples import Examples
    from spark_jobs.models.learner import Learner
    from spark_jobs.models.training_settings import TrainingSettings

CODES = 3  # numbers a field value becomes: log odds, log count, category


class Trees(nn.Module):
    """xgboost's trees over feature rows (n, F) as a module, (n, 1); none until they are grown."""

    def __init__(self) -> None:
        super().__init__()
        self.booster: Any = None

    def forward(self, features: Tensor) -> Tensor:
        if self.booster is None or not len(features):
            return features.new_zeros(len(features), 1)
        # As many threads as torch may use here: one in a Spark task.
        self.booster.set_param({"nthread": torch.get_num_threads()})
        rows = features.detach().cpu().numpy()  # trees are read by the processor, wherever the network lies
        margin = self.booster.inplace_predict(rows, predict_type="margin", validate_features=False)
        return torch.from_numpy(np.asarray(margin, dtype=np.float32))[:, None].to(features.device)

    def get_extra_state(self) -> Tensor:
        """The trees in xgboost's own binary JSON, as bytes: what a checkpoint keeps."""
        raw = bytearray() if self.booster is None else self.booster.save_raw("ubj")
        return torch.from_numpy(np.frombuffer(bytes(raw), dtype=np.uint8).copy())

    def set_extra_state(self, state: Any) -> None:
        """Puts back what `get_extra_state` gave.

        Raises:
            ContractBroken: xgboost cannot read it.
        """
        xgboost = library()
        self.booster = None
        if len(state):
            booster = xgboost.Booster()
            try:
                booster.load_model(bytearray(state.numpy().tobytes()))
            except xgboost.core.XGBoostError as error:
                raise ContractBroken("the checkpoint's trees cannot be read", hint="train again") from error
            self.booster = booster

    @property
    def size(self) -> int:
        """Nodes of all trees: each holds a threshold or a leaf's value."""
        if self.booster is None:
            return 0
        model = json.loads(self.booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
        return sum(int(tree["tree_param"]["num_nodes"]) for tree in model["trees"])


class Boosted(Ranker):
    """The model. `coded` holds what a row of the embedding table is to the trees, (table rows, 3)."""

    def __init__(self, settings: BoostedSettings, layout: Layout) -> None:
        nn.Module.__init__(self)  # there is no embedding, and no constant that a gradient could reach
        self.settings, self.layout = settings, layout
        self.register_buffer("coded", torch.full((layout.table_rows, CODES), torch.nan))
        self.register_buffer("start", torch.zeros(()))
        self.tail = Trees()
        categorical = len(layout.item.rows) + len(layout.viewer.rows)
        numeric = len(layout.item.numeric) + len(layout.viewer.numeric)
        self.before_numbers, self.before_vectors = CODES * categorical, CODES * categorical + numeric
        self.width = self.before_vectors + sum(width for _, width in layout.item.vectors)

    @property
    def size(self) -> int:
        """Nodes of all trees."""
        trees = self.tail
        assert isinstance(trees, Trees)
        return trees.size

    def item_part(self, batch: Batch) -> Part:
        features = self.features(batch, self.layout.item, self.get_buffer("coded"))
        return Part(self.get_buffer("start").expand(len(features)), None, features)

    def viewer_part(self, batch: Batch) -> Part:
        features = self.features(batch, self.layout.viewer, self.get_buffer("coded"))
        return Part(features.new_zeros(len(features)), None, features)

    def features(self, batch: Batch, side: Side, coded: Tensor, fold: Tensor | None = None) -> Tensor:
        """Feature rows (n, F) of one side, zeros in the other side's columns.

        Args:
            batch: encoded rows.
            side: whose columns.
            coded: what rows of the table are to the trees, (table rows, 3); with `fold`, one such table a fold.
            fold: of each row, (n,): a training row must not read a rate that its own label is part of.
        """
        found = batch.numeric.new_zeros(batch.rows.shape[0], self.width)
        for column in side.rows:
            rows = batch.rows[:, column].long()
            place = CODES * column
            found[:, place : place + CODES] = coded[rows] if fold is None else coded[fold, rows]
        for column in side.numeric:
            found[:, self.before_numbers + column] = batch.numeric[:, column]
        for start, width in side.vectors:
            place = self.before_vectors + start
            found[:, place : place + width] = batch.vectors[:, start : start + width]
        return found

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n,) of each row."""
        item, viewer = self.item_part(batch), self.viewer_part(batch)
        assert self.tail is not None
        assert item.hidden is not None
        assert viewer.hidden is not None
        found: Tensor = item.bias + self.tail(item.hidden + viewer.hidden).squeeze(1)
        return found

    def start_at(self, log_odds: float) -> None:
        """Sets the constant of the logit."""
        self.get_buffer("start").fill_(log_odds)

    def learner(self, encoder: Encoder, examples: Examples, settings: TrainingSettings) -> Learner:
        """Trees are grown, not descended to."""
        from spark_jobs.models.boosting import Boosting

        return Boosting(self, encoder, examples, settings)


def library() -> ModuleType:
    """xgboost, loaded when it is first needed.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import xgboost
    except ImportError as error:
        raise MissingExtra.of("batch", "xgboost") from error
    found: ModuleType = xgboost
    return found
