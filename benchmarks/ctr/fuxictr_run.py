"""FuxiCTR as a contender: its base model, training loop, loader and layers.

Its package on PyPI holds the layers but not the model zoo, so the networks are put together here from its own layers.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from contest import Job, Stopwatch, leave
from fuxictr.features import FeatureMap
from fuxictr.pytorch import layers
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers.interactions.cross_net import CrossNet, CrossNetV2
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything
from torch import Tensor, nn


class Network(BaseModel):
    """One of the models, by name, out of FuxiCTR's layers."""

    def __init__(self, job: Job, features: FeatureMap) -> None:
        super().__init__(
            features,
            model_id=job.model,
            model_root=job.out,
            metrics=["AUC", "logloss"],
            verbose=0,
            embedding_regularizer=job.l2 or None,
            early_stop_patience=job.epochs,
            reduce_lr_on_plateau=False,
        )
        kind, width = job.model, job.dim * len(job.fields)
        self.embedding = None if kind == "lr" else layers.FeatureEmbedding(features, job.dim)
        self.linear = layers.LogisticRegression(features) if kind in {"lr", "wide_deep"} else None
        self.fm = layers.FactorizationMachine(features) if kind in {"fm", "deepfm"} else None
        self.pairs = self.pair_weights = self.linear_vectors = None
        if kind == "fwfm":
            self.pairs = layers.InnerProductInteraction(len(job.fields), output="inner_product")
            self.pair_weights = nn.Linear(len(job.fields) * (len(job.fields) - 1) // 2, 1)
            self.linear_vectors = nn.Linear(width, 1, bias=False)
        crosses = {"dcn": CrossNet, "dcnv2": CrossNetV2}
        self.cross = crosses[kind](width, job.cross) if kind in crosses else None
        self.deep = self.last = None
        if kind in {"dnn", "wide_deep", "deepfm"} or self.cross is not None:
            self.deep = layers.MLP_Block(
                input_dim=width, hidden_units=list(job.hidden), output_dim=None if self.cross is not None else 1
            )
        if self.cross is not None:
            self.last = nn.Linear(width + job.hidden[-1], 1)
        self.compile("adam", "binary_crossentropy", job.learning_rate)
        self.reset_parameters()

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Probabilities as FuxiCTR's loop wants them."""
        x = self.get_inputs(inputs)
        logit: Tensor | float = 0.0
        embedded = self.embedding(x) if self.embedding is not None else None
        if self.linear is not None:
            logit = logit + self.linear(x)
        if self.fm is not None:
            logit = logit + self.fm(x, embedded)
        if self.pairs is not None:
            logit = logit + self.pair_weights(self.pairs(embedded))
            logit = logit + self.linear_vectors(embedded.flatten(start_dim=1))
        if self.deep is not None:
            flat = embedded.flatten(start_dim=1)
            deep = self.deep(flat)
            logit = logit + (deep if self.cross is None else self.last(torch.cat([self.cross(flat), deep], dim=-1)))
        return {"y_pred": self.output_activation(logit)}


def feature_map(job: Job) -> FeatureMap:
    """FuxiCTR's description of the fields."""
    features = FeatureMap("contest", job.out)
    features.features = OrderedDict(
        (name, {"source": "", "type": "categorical", "vocab_size": size})
        for name, size in zip(job.fields, job.sizes, strict=True)
    )
    features.labels, features.num_fields = ["label"], len(job.fields)
    features.total_features, features.default_emb_dim = sum(job.sizes), job.dim
    features.set_column_index()
    return features


def main() -> None:
    """One run: load, train, predict."""
    job = Job.from_command_line()
    torch.set_num_threads(1)
    seed_everything(job.seed)
    watch = Stopwatch()
    features = feature_map(job)
    # One worker process, as its loader does unless told otherwise.
    train, valid = RankDataLoader(
        features, stage="train", train_data=str(job.file("train", "npz")), valid_data=str(job.file("valid", "npz")),
        batch_size=job.batch, shuffle=True, data_format="npz",
    )  # fmt: skip
    watch.lap("load")
    network = Network(job, features)
    Path(network.model_dir).mkdir(parents=True, exist_ok=True)
    network.fit(train, epochs=job.epochs, validation_data=valid)
    watch.lap("fit")
    test = RankDataLoader(
        features, stage="test", test_data=str(job.file("test", "npz")), batch_size=job.batch, shuffle=False,
        data_format="npz",
    )  # fmt: skip
    watch.lap("load_test")
    chance = np.asarray(network.predict(test))
    watch.lap("predict")
    leave(job, watch, chance, parameters=sum(p.numel() for p in network.parameters()))


if __name__ == "__main__":
    main()
