"""Validation after each epoch: is the network still getting better, by order and by probability?"""

from __future__ import annotations

import numpy as np
import torch

from spark_jobs.evaluation.auc import auc, gauc
from spark_jobs.evaluation.calibration import logloss
from spark_jobs.models.calibration import sigmoid
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Doubles, Examples, Tensors
from spark_jobs.models.ranker import Batch, Ranker
from spark_jobs.models.training_settings import TrainingSettings


class Watch:
    """Judges an epoch, context neutral as a published rank must be.

    Attributes:
        improved: the last epoch has the best order so far (gAUC; logloss where no visit has both labels).
        stale: epochs since either the order or the logloss got better.
    """

    def __init__(self, valid: Examples, encoder: Encoder, settings: TrainingSettings) -> None:
        if len(valid) > settings.validation_rows:
            # Whole visits, the same ones every time.
            share = settings.validation_rows / len(valid)
            visits = np.unique(valid.group)
            random = np.random.default_rng(settings.seed)
            valid = valid.where(np.isin(valid.group, visits[random.random(len(visits)) < share]))
        self.valid = valid
        self.data = Tensors(valid, encoder, neutral_context=True)
        self.best_gauc, self.best_loss = -np.inf, np.inf
        self.stale, self.improved = 0, False

    def __call__(self, network: Ranker) -> dict[str, float]:
        """gAUC, AUC and logloss of the network as it is."""
        logits = logits_of(network, self.data)
        figures = quality(logits, self.valid)
        ranked = figures["gauc"] if np.isfinite(figures["gauc"]) else -figures["logloss"]
        self.improved = ranked > self.best_gauc
        self.stale = 0 if self.improved or figures["logloss"] < self.best_loss else self.stale + 1
        self.best_gauc = max(self.best_gauc, ranked)
        self.best_loss = min(self.best_loss, figures["logloss"])
        return figures

    def state(self) -> dict[str, float]:
        """What a resumed training must know of the epochs before."""
        return {"best_gauc": float(self.best_gauc), "best_loss": float(self.best_loss), "stale": self.stale}

    def restore(self, state: dict[str, float]) -> None:
        """Goes on from what `state` gave."""
        self.best_gauc, self.best_loss, self.stale = state["best_gauc"], state["best_loss"], int(state["stale"])


def quality(logits: Doubles, examples: Examples) -> dict[str, float]:
    """gAUC by visit, AUC and logloss (rows counted 1/rate times) of logits."""
    return {
        "gauc": gauc(examples.label, logits, examples.group),
        "auc": auc(examples.label, logits),
        "logloss": logloss(examples.label, sigmoid(logits), 1.0 / examples.rate),
    }


def logits_of(network: Ranker, data: Tensors, *, block: int = 32_768) -> Doubles:
    """Logits (n,) in blocks, so that memory does not grow; on the device the network lies on."""
    network.eval()
    found = np.empty(len(data), dtype=np.float64)
    own = next(network.parameters(), None)
    device = torch.device("cpu") if own is None else own.device
    with torch.inference_mode():
        for start in range(0, len(data), block):
            part = slice(start, min(start + block, len(data)))
            batch = Batch(*(tensor.to(device) for tensor in data.batch(part)))
            found[part] = network(batch).double().cpu().numpy()
    return found
