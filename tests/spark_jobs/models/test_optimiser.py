from __future__ import annotations

import numpy as np
import pytest
import torch

from spark_jobs.evaluation.auc import auc
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Tensors
from spark_jobs.models.optimiser import EPSILON, Optimiser, parts_of, table_names
from spark_jobs.models.ranker import Batch, Targets
from spark_jobs.models.registry import MODELS, build, model_settings
from spark_jobs.models.settings import DeepFMSettings, LogisticSettings
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.planted import SCHEMA, TRAINING, examples

ROWWISE = TRAINING.model_copy(update={"optimizer": "rowwise_adagrad", "table_rate": 0.05})


def batch_of(n: int) -> tuple[Batch, Targets]:
    data, encoder = examples(2000), Encoder(SCHEMA)
    encoder.fit(data.rows, data.numbers)
    return Tensors(data, encoder).batch(slice(0, n)), Targets(torch.from_numpy(data.label[:n].astype(np.float32)))


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {"xgboost"}))  # trees have no table
def test_the_rows_of_a_step_get_the_gradient_of_the_whole_table(kind: str) -> None:
    """Row-wise Adagrad of every network against its formula on the whole table's gradient."""
    batch, targets = batch_of(128)
    one, other = (build(model_settings({"kind": kind}), Encoder(SCHEMA), seed=3) for _ in range(2))
    names = table_names(one)
    one.train()
    torch.manual_seed(1)
    one.objective(batch, targets).backward()  # type: ignore[no-untyped-call]
    gradients = {name: one.get_parameter(name).grad for name in names}
    settings = ROWWISE.model_copy(update={"clip": 1e9})
    other.train()
    torch.manual_seed(1)
    optimiser = Optimiser(other, settings)
    optimiser.step(batch, targets, rate=0.5)
    met = torch.zeros(Encoder(SCHEMA).layout.table_rows, dtype=torch.bool)
    met[batch.rows.reshape(-1).long()] = True
    for name in names:
        before, gradient = one.get_parameter(name).detach(), gradients[name]
        assert gradient is not None
        found = other.get_parameter(name).detach()
        assert torch.equal(found[~met], before[~met]), "rows that do not occur are not touched"
        # The embedding and what stands behind it have a sum each.
        parts = parts_of(one)[name]
        assert sum(parts) == before.shape[1]
        for now, was, slope in zip(*(torch.split(whole, parts, 1) for whole in (found, before, gradient)), strict=True):
            total = slope.square().mean(1)
            expected = was - 0.5 * settings.table_rate * slope / (total.sqrt() + EPSILON)[:, None]
            big = total > 1e-14  # smaller ones are divided by themselves
            assert torch.allclose(now[big], expected[big], atol=2e-4), name


@pytest.mark.parametrize(("kind", "sparse"), [("logistic", False), ("fm", True), ("deepfm", True)])
def test_auto_takes_steps_by_row_where_a_row_is_an_embedding(kind: str, sparse: bool) -> None:
    network = build(model_settings({"kind": kind}), Encoder(SCHEMA), seed=3)
    assert Optimiser(network, TRAINING.model_copy(update={"optimizer": "auto"})).sparse is sparse


def test_both_optimisers_recover_the_planted_world() -> None:
    test = examples(4000, seed=9)
    found = []
    for settings in (TRAINING, ROWWISE):
        fitted = fit(DeepFMSettings(dim=8), Encoder(SCHEMA), train=examples(), valid=None, settings=settings)
        found.append(auc(test.label, score_examples(fitted, test, neutral_context=False)))
    assert found[1] > found[0] - 0.01


def test_a_row_keeps_a_number_for_its_embedding_and_one_for_its_weight() -> None:
    network = build(DeepFMSettings(dim=8), Encoder(SCHEMA), seed=1)
    optimiser = Optimiser(network, ROWWISE)
    optimiser.step(*batch_of(64), rate=1.0)
    rows = Encoder(SCHEMA).layout.table_rows
    table = {name: value.shape for name, value in optimiser.state().items() if "table" in name}
    assert table == {"sides.table.sum": (rows, 2)}


@pytest.mark.parametrize("optimizer", ["adam", "rowwise_adagrad"])
def test_embedding_regularisation_is_the_gradient_of_half_lambda_norm(optimizer: str) -> None:
    batch, targets = batch_of(64)
    network = build(LogisticSettings(), Encoder(SCHEMA), seed=1)
    with torch.no_grad():
        network.get_parameter("sides.table").normal_()
    before = network.get_parameter("sides.table").detach().clone()
    settings = TrainingSettings.of(
        {"optimizer": optimizer, "emb_reg": 1e6, "weight_decay": 0.0, "learning_rate": 0.1, "table_rate": 0.1,
         "clip": 1e12}
    )  # fmt: skip
    optimiser = Optimiser(network, settings)
    optimiser.step(batch, targets, rate=1.0)
    moved = network.get_parameter("sides.table").detach() - before
    met = torch.zeros(len(before), dtype=torch.bool)
    met[batch.rows.reshape(-1).long()] = True
    # So strong a pull leaves nothing of the data: every touched number goes towards nought.
    touched = torch.ones(len(before), dtype=torch.bool) if optimizer == "adam" else met
    assert (torch.sign(moved[touched]) == -torch.sign(before[touched])).float().mean() > 0.999
    assert bool((moved[~touched] == 0).all())


def test_the_step_is_clipped() -> None:
    batch, targets = batch_of(64)
    sums = []
    for clip in (1e-3, 1e9):
        network = build(LogisticSettings(), Encoder(SCHEMA), seed=1)
        optimiser = Optimiser(network, ROWWISE.model_copy(update={"clip": clip}))
        optimiser.step(batch, targets, rate=1.0)
        sums.append(float(optimiser.state()["sides.table.sum"].sum().sqrt()))
    assert sums[0] <= 1e-3 < sums[1]
