from __future__ import annotations

import pytest
import torch

from spark_jobs.models.encoding import Encoder
from spark_jobs.models.settings import DeepFwFMSettings
from spark_jobs.models.training import fit
from tests.contracts.ranker import SCHEMA, TRAINING, RankerContract, examples

PRUNED = DeepFwFMSettings(dim=4, hidden=(16, 8), prune_deep=0.8, prune_pairs=0.5, prune_embeddings=0.5, prune_steps=60)


class TestDeepFwFM(RankerContract):
    SETTINGS = DeepFwFMSettings(dim=4, hidden=(16, 8), batch_norm=True)
    LEAST_AUC = 0.78


class TestDeepFwFMPruned(RankerContract):
    SETTINGS = PRUNED
    LEAST_AUC = 0.76


def test_training_ends_at_the_asked_shares_and_says_so() -> None:
    model = fit(PRUNED, Encoder(SCHEMA), train=examples(4000), valid=None, settings=TRAINING).model
    left = model.prune()
    assert left["deep"] == pytest.approx(0.2, abs=0.03)
    assert left["pairs"] == 0.5
    assert left["embeddings"] == pytest.approx(0.5, abs=0.01)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), (
        "cutting twice cuts more"
    )


def test_the_share_rises_while_training_goes_on() -> None:
    model = fit(PRUNED, Encoder(SCHEMA), train=examples(400), valid=None, settings=TRAINING).model
    steps = model.get_buffer("steps")
    left = []
    for done in (0.0, 0.25, 0.5, 1.0):
        steps.fill_(done * PRUNED.prune_steps)
        left.append(model.prune()["deep"])
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(0.2, abs=0.03)


def test_without_shares_nothing_is_cut() -> None:
    settings = DeepFwFMSettings(dim=4, hidden=(16, 8))
    model = fit(settings, Encoder(SCHEMA), train=examples(400), valid=None, settings=TRAINING).model
    assert model.prune() == {"deep": 1.0, "pairs": 1.0, "embeddings": 1.0, "all": 1.0}
