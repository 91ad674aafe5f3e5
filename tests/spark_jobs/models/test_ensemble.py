from __future__ import annotations

import numpy as np
import pytest
import torch

from segments.errors import UsageError
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ensemble import Ensemble
from spark_jobs.models.examples import Tensors
from spark_jobs.models.grid import Grid
from spark_jobs.models.ranker import Targets
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import DeepFMSettings, EnsembleSettings, FMSettings, TwoTowerSettings
from spark_jobs.models.training import fit
from tests.contracts.planted import SCHEMA, SEGMENTS, TRAINING, examples, items_of
from tests.contracts.ranker import RankerContract, drawn_anew

DEEP = EnsembleSettings(member=DeepFMSettings(dim=4, hidden=(16, 8), batch_norm=True), members=2)


class TestEnsemble(RankerContract):
    SETTINGS = DEEP
    LEAST_AUC = 0.76


class TestEnsembleWithoutATail(RankerContract):
    SETTINGS = EnsembleSettings(member=FMSettings(dim=4))
    LEAST_AUC = 0.76


@pytest.mark.parametrize("of", [FMSettings(dim=3), DeepFMSettings(dim=3, hidden=(6,))])
def test_it_is_the_mean_of_its_members(of: FMSettings | DeepFMSettings) -> None:
    settings = EnsembleSettings(member=of, members=3)
    model, batch = drawn_anew(settings)
    assert isinstance(model, Ensemble)
    alone = [member(batch) for member in model.rankers]
    assert torch.allclose(model(batch), torch.stack(alone).mean(0))
    encoder = Encoder(SCHEMA)
    whole = Grid(Checkpoint(settings, encoder, model.float())).logits(items_of(50), SEGMENTS)
    parts = [Grid(Checkpoint(of, encoder, m)).logits(items_of(50), SEGMENTS) for m in model.rankers]
    assert np.abs(whole - np.mean(parts, axis=0)).max() <= 1e-5


def test_each_member_learns_from_its_own_loss() -> None:
    """The gradient of a member is what it would be alone."""
    encoder, data = Encoder(SCHEMA), examples(64)
    batch, targets = Tensors(data, encoder).batch(slice(0, 64)), Targets(torch.from_numpy(data.label).float())
    model = build(DEEP, encoder, seed=3)
    assert isinstance(model, Ensemble)
    model.objective(batch, targets).backward()  # type: ignore[no-untyped-call]
    for member in model.rankers:
        alone = torch.autograd.grad(member.objective(batch, targets), list(member.parameters()))
        for (name, parameter), gradient in zip(member.named_parameters(), alone, strict=True):
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, gradient), name


def test_members_begin_differently() -> None:
    model = build(DEEP, Encoder(SCHEMA), seed=3)
    assert isinstance(model, Ensemble)
    first, second = model.rankers
    assert not torch.equal(first.sides.table, second.sides.table)


def test_what_it_may_be_of() -> None:
    assert model_settings({"kind": "ensemble", "member": {"kind": "dcnv2"}}).kind == "ensemble"
    with pytest.raises(UsageError, match="ensemble"):
        model_settings({"kind": "ensemble", "member": {"kind": "xgboost"}})
    with pytest.raises(UsageError, match="members"):
        model_settings({"kind": "ensemble", "members": 1})


def test_members_that_are_towers_count_items_by_what_they_are() -> None:
    """A step numbers its rows anew; members must count candidates by item all the same, as a lone tower does."""
    tower = TwoTowerSettings(dim=4, hidden=(8,), out=4, loss="both")
    data = examples(600)
    settings = TRAINING.model_copy(update={"epochs": 1, "optimizer": "rowwise_adagrad"})

    def counted(model: TwoTowerSettings | EnsembleSettings) -> list[torch.Tensor]:
        network = fit(model, Encoder(SCHEMA), train=data, valid=None, settings=settings).model
        return [counts for name, counts in network.named_buffers() if name.endswith("candidates")]

    (alone,) = counted(tower)
    for counts in counted(EnsembleSettings(member=tower, members=2)):
        assert torch.equal(counts > 0, alone > 0)
