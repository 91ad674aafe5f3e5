from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from segments.errors import UsageError
from spark_jobs.models.calibration import Calibration
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.correction import fit_correction
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Tensors
from spark_jobs.models.grid import Grid
from spark_jobs.models.mixture import Mixture, mixed
from spark_jobs.models.multi_task_settings import MMoESettings, tasks_of
from spark_jobs.models.ranker import Targets
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import DeepFMSettings, EnsembleSettings, FMSettings, MixtureSettings, NetworkSettings
from spark_jobs.models.watch import logits_of
from tests.contracts.planted import SCHEMA, SEGMENTS, examples, items_of
from tests.contracts.ranker import RankerContract, trained

DEEP = DeepFMSettings(dim=4, hidden=(16, 8), batch_norm=True)


class TestMixture(RankerContract):
    SETTINGS = MixtureSettings(shared_model=DEEP)
    LEAST_AUC = 0.76


class TestMixtureOfAnEnsemble(RankerContract):
    SETTINGS = MixtureSettings(shared_model=EnsembleSettings(member=FMSettings(dim=4), members=2))
    LEAST_AUC = 0.76


@pytest.mark.parametrize("of", [FMSettings(dim=4), DEEP, MMoESettings(dim=4, tasks=("cart",), hidden=(8,))])
def test_a_fitted_part_serves_as_it_was_fitted(of: NetworkSettings, tmp_path: Path) -> None:
    """The checkpoint, read again, gives shared logit + correction, row by row and in the grid."""
    fitted = trained(of)
    data = examples(800, seed=11)
    shared = Checkpoint(of, fitted.encoder, fitted.model, Calibration(1.1, -0.2))
    before = logits_of(fitted.model, Tensors(data, fitted.encoder, neutral_context=True))
    own = fit_correction(before - 1.0, data, fitted.encoder)  # as if the shop's rate were another
    made = mixed(shared, own)
    assert made.calibration == shared.calibration
    assert made.model.size > fitted.model.size
    save(made, tmp_path)
    again = load(tmp_path, schema=SCHEMA)
    told = logits_of(again.model, Tensors(data, again.encoder, neutral_context=True))
    moved = own(data)
    assert np.abs(moved).max() > 0.3
    assert np.abs(told - before - moved).max() <= 1e-5
    items = items_of(50)
    whole = Grid(again).logits(items, SEGMENTS) - Grid(shared).logits(items, SEGMENTS)
    # Weights of values add up: what a segment moves is the same for every item, and the other way round.
    assert np.abs(whole - whole[:1] - whole[:, :1] + whole[0, 0]).max() <= 1e-5
    assert whole.std(0).max() > 0.01


def test_the_small_part_begins_at_nothing_and_is_a_shift_to_the_shared_loss() -> None:
    encoder, data = Encoder(SCHEMA), examples(64)
    batch, label = Tensors(data, encoder).batch(slice(0, 64)), torch.from_numpy(data.label).float()
    model = build(MixtureSettings(shared_model=DEEP), encoder, seed=3)
    assert isinstance(model, Mixture)
    assert torch.equal(model(batch), model.shared(batch))
    with torch.no_grad():
        model.own.sides.table.normal_(generator=torch.Generator().manual_seed(1))
    shift = torch.full((64,), 0.5)
    known = Targets(label, offset=model.own(batch).detach() + shift)
    assert torch.equal(model.objective(batch, Targets(label, offset=shift)), model.shared.objective(batch, known))


def test_a_value_the_unit_never_had_is_not_moved() -> None:
    fitted = trained(DEEP)
    data = examples(400, seed=12)
    few = data.where(data.rows[:, 0] == data.rows[0, 0])
    own = fit_correction(np.zeros(len(few)), few, fitted.encoder)
    made = mixed(Checkpoint(DEEP, fitted.encoder, fitted.model), own)
    assert isinstance(made.model, Mixture)
    weighed = made.model.own.sides.table[:, 0].nonzero().squeeze(1).numpy()
    assert set(weighed) <= set(own.columns)
    assert len(weighed) < len(fitted.encoder.seen) / 2


def test_what_it_may_be_of() -> None:
    settings = model_settings({"kind": "mixture", "shared_model": {"kind": "mmoe", "tasks": ["cart"]}})
    assert tasks_of(settings) == ("cart",)
    assert tasks_of(model_settings({"kind": "mixture"})) == ()
    for kind in ("xgboost", "mixture"):
        with pytest.raises(UsageError, match="mixture"):
            model_settings({"kind": "mixture", "shared_model": {"kind": kind}})
