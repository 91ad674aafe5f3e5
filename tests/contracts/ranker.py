"""What every ranking model keeps: enrol one by a subclass with its settings."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from spark_jobs.evaluation.auc import auc
from spark_jobs.models.calibration import Calibration
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Tensors, examples_of
from spark_jobs.models.grid import Grid, encode
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.ranker import Batch, Ranker, Targets
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training import Fitted, fit, score_examples
from spark_jobs.models.watch import logits_of
from tests.contracts.elsewhere import PLACES, place
from tests.contracts.lighter import LighterScoring
from tests.contracts.planted import SCHEMA, SEGMENTS, TRAINING, examples, items_of, world


def drawn_anew(settings: ModelSettings) -> tuple[Ranker, Batch]:
    """A network in double precision with weights far from zero, and 50 rows for it."""
    encoder = Encoder(SCHEMA)
    model = build(settings, encoder, seed=1).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)) * 0.4)
    batch = Tensors(examples(50), encoder).batch(slice(0, 50))
    batch = batch._replace(numeric=batch.numeric.double(), vectors=batch.vectors.double())
    return model, batch


def trained(settings: ModelSettings) -> Fitted:
    """Trained once a test run; tests only read it."""
    return _trained(settings.model_dump_json())


@cache
def _trained(told: str) -> Fitted:
    settings = model_settings(json.loads(told))
    train, valid = (examples(n, seed=seed, tasks=tasks_of(settings)) for n, seed in ((12_000, 3), (3000, 4)))
    return fit(settings, Encoder(SCHEMA), train=train, valid=valid, settings=TRAINING)


class RankerContract(LighterScoring):
    """A subclass sets `SETTINGS`, and `LEAST_AUC` on the planted world."""

    SETTINGS: ModelSettings
    LEAST_AUC = 0.70

    @pytest.fixture
    def fitted(self) -> Fitted:
        return trained(self.SETTINGS)

    @pytest.fixture
    def checkpoint(self, fitted: Fitted) -> Checkpoint:
        return Checkpoint(self.SETTINGS, fitted.encoder, fitted.model, Calibration(1.1, -0.2))

    def test_every_parameter_gets_a_gradient_and_changes(self) -> None:
        data = examples(1000, tasks=tasks_of(self.SETTINGS))
        encoder = Encoder(SCHEMA)
        before = {k: v.detach().clone() for k, v in build(self.SETTINGS, encoder, seed=7).named_parameters()}
        after = fit(self.SETTINGS, encoder, train=data, valid=None, settings=TRAINING).model
        after.train()
        label, tasks = torch.from_numpy(data.label).float()[:256], data.tasks
        known = None if tasks is None else torch.from_numpy(tasks[:256])
        after.objective(Tensors(data, encoder).batch(slice(0, 256)), Targets(label, tasks=known)).backward()  # type: ignore[no-untyped-call]
        for name, parameter in after.named_parameters():
            assert parameter.grad is not None, f"{name} has no gradient"
            assert not torch.equal(before[name], parameter), f"{name} did not change"

    def test_the_planted_world_is_recovered(self, fitted: Fitted) -> None:
        table, truth = world(6000, seed=9)
        test = examples_of(table, Encoder(SCHEMA), vectors=items_of(60))
        found = auc(test.label, score_examples(fitted, test, neutral_context=False))
        assert found > self.LEAST_AUC
        assert found > auc(table.column("label").to_numpy(), truth) - 0.06, "far from what anybody could know"

    def test_save_load_score_is_the_same(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        save(checkpoint, tmp_path)
        again = load(tmp_path, schema=SCHEMA)
        items = items_of(40)
        assert np.array_equal(Grid(again).score(items, SEGMENTS), Grid(checkpoint).score(items, SEGMENTS))

    def test_grid_equals_row_by_row(self, checkpoint: Checkpoint) -> None:
        items = items_of(333)  # most of them never seen
        grid = Grid(checkpoint).score(items, SEGMENTS)
        for s, segment in enumerate(SEGMENTS):
            table = items
            for name, value in segment.items():
                table = table.append_column(name, pa.array([value] * len(items)))
            with torch.inference_mode():
                logits = checkpoint.model(encode(checkpoint.encoder, table)).double().numpy()
            assert np.abs(checkpoint.calibration(logits) - grid[:, s]).max() <= 1e-5

    def test_rows_of_no_weight_teach_nothing(self) -> None:
        """Two rows in three say the opposite; weighed nothing, they are not heard."""
        data = examples(4000, tasks=tasks_of(self.SETTINGS))
        # Whole visits, or lists would be weighed as a whole.
        false = data.group % 3 != 0
        told = np.where(false, 1.0 - data.label, data.label)
        settings = TRAINING.model_copy(update={"epochs": 2, "batch_size": 256})
        liars = replace(data, label=told, weight=np.where(false, 0.0, 2.5), tasks=None)
        if data.tasks is not None:
            liars = replace(liars, tasks=np.where(false[:, None], 1.0 - data.tasks, data.tasks).astype(np.float32))
        fitted = fit(self.SETTINGS, Encoder(SCHEMA), train=liars, valid=None, settings=settings)
        assert auc(data.label, score_examples(fitted, data, neutral_context=False)) > 0.6

    def test_empty_single_constant_and_not_finite(self, checkpoint: Checkpoint) -> None:
        grid = Grid(checkpoint)
        assert grid.score(items_of(0), SEGMENTS).shape == (0, len(SEGMENTS))
        assert grid.score(items_of(3), []).shape == (3, 0)
        assert grid.score(items_of(1), SEGMENTS).shape == (1, len(SEGMENTS))
        odd = items_of(4).set_column(3, "price", pa.array([np.nan, np.inf, -np.inf, None], pa.float64()))
        bare = items_of(4).drop_columns(["price"])
        assert np.array_equal(grid.score(odd, SEGMENTS), grid.score(bare, SEGMENTS)), "not finite reads as missing"
        assert np.isfinite(grid.score(odd, SEGMENTS)).all()

    def test_unseen_ids_share_the_row_of_the_unknown(self, checkpoint: Checkpoint) -> None:
        items = items_of(2)
        for name in ("item", "brand"):
            place = items.column_names.index(name)
            items = items.set_column(place, name, pa.array(["brand new", "also new"]))
        items = items.drop_columns(["price", "text"])
        scores = Grid(checkpoint).score(items, SEGMENTS)
        # The same arithmetic, but a matrix product may round its last rows in another order.
        assert np.allclose(scores[0], scores[1], rtol=0.0, atol=1e-7)

    def test_ids_beyond_what_floats_hold_are_kept_apart(self) -> None:
        """2**24 + 1 is no float32: a library that carries ids as floats gives both ids one row."""
        settings, encoder = self.SETTINGS, Encoder(SCHEMA)
        network = build(settings, encoder, seed=1)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
        ids = pa.table({"item": pa.array([2**24, 2**24 + 1, 2**53, 2**53 + 1], pa.int64())})
        rows = encode(encoder, ids).rows[:, 0]
        assert len(set(rows.tolist())) == 4
        if list(network.parameters()):
            assert len(set(Grid(Checkpoint(settings, encoder, network)).score(ids, SEGMENTS)[:, 0].tolist())) == 4

    def test_constant_columns_are_learnt_from_without_harm(self) -> None:
        data = examples(300, tasks=tasks_of(self.SETTINGS))
        rows, numbers = data.rows.copy(), data.numbers.copy()
        rows[:], numbers[:] = rows[:1], 7.5
        encoder, settings = Encoder(SCHEMA), TRAINING.model_copy(update={"epochs": 1})
        train = replace(data, rows=rows, numbers=numbers)
        found = score_examples(fit(self.SETTINGS, encoder, train=train, valid=None, settings=settings), data)
        assert np.isfinite(found).all()

    def test_gradients_are_those_of_finite_differences(self) -> None:
        """Along three random directions of all parameters at once, in double precision."""
        encoder = Encoder(SCHEMA)
        network = build(self.SETTINGS, encoder, seed=5).double().eval()
        parameters = [parameter for parameter in network.parameters() if parameter.numel()]
        random = torch.Generator().manual_seed(4)
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn(parameter.shape, generator=random, dtype=torch.float64) * 0.2)
        data = examples(40)
        batch = Tensors(data, encoder).batch(slice(0, 40))
        batch = batch._replace(numeric=batch.numeric.double(), vectors=batch.vectors.double())
        share = torch.from_numpy(data.label) - 0.3
        if not parameters:
            return
        slopes = torch.autograd.grad(share @ network(batch), parameters, allow_unused=True)
        for _ in range(3):
            way = [torch.randn(p.shape, generator=random, dtype=torch.float64) for p in parameters]
            told = sum(float((g * u).sum()) for g, u in zip(slopes, way, strict=True) if g is not None)
            ends = []
            for step in (1e-6, -2e-6, 1e-6):
                with torch.no_grad():
                    for parameter, u in zip(parameters, way, strict=True):
                        parameter.add_(u, alpha=step)
                    ends.append(float(share @ network(batch)))
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(told, rel=1e-4, abs=1e-6)

    @pytest.mark.parametrize("where", PLACES)
    def test_every_device_gives_the_same(self, checkpoint: Checkpoint, where: str) -> None:
        batch = encode(checkpoint.encoder, items_of(200))
        with torch.no_grad(), place(where) as device:
            expected = checkpoint.model(batch).double()
            network = copy.deepcopy(checkpoint.model).to(device)
            found = network(Batch(*(part.to(device) for part in batch)))
            assert found.device.type == device.type
            assert (found.cpu().double() - expected).abs().max() <= 1e-4

    def test_training_keeps_its_devices_apart(self) -> None:
        """On another device that computes as the processor does, training ends in the same network.

        By Adam: row-wise Adagrad finds the rows of a step in another order elsewhere, and where a bias stands before a
        batch normalisation, whose gradient is nothing but rounding, Adam makes whole steps of the difference.
        """
        data = examples(1000, tasks=tasks_of(self.SETTINGS))
        held = examples(300, seed=4, tasks=tasks_of(self.SETTINGS))
        settings = TRAINING.model_copy(update={"epochs": 1, "averaging": 0.5})

        def scores(device: str) -> np.ndarray:
            there = settings.model_copy(update={"device": device})
            with place("elsewhere"):
                fitted = fit(self.SETTINGS, Encoder(SCHEMA), train=data, valid=held, settings=there)
            return score_examples(fitted, held)

        assert np.abs(scores("cuda") - scores("cpu")).max() <= 1e-4

    def test_one_seed_repeats_and_two_differ(self) -> None:
        data = examples(1500)

        def scores(seed: int) -> np.ndarray:
            settings = TRAINING.model_copy(update={"seed": seed, "epochs": 1})
            return score_examples(fit(self.SETTINGS, Encoder(SCHEMA), train=data, valid=None, settings=settings), data)

        assert np.array_equal(scores(1), scores(1))
        assert not np.array_equal(scores(1), scores(2))

    def test_context_is_neutral_at_scoring(self, fitted: Fitted, checkpoint: Checkpoint) -> None:
        items = items_of(5)
        shown = items.append_column("position", pa.array(["0"] * 5)).append_column("hour", pa.array([3.0] * 5))
        grid = Grid(checkpoint)
        assert np.array_equal(grid.score(shown, SEGMENTS), grid.score(items, SEGMENTS))
        data = examples(200)
        held = logits_of(fitted.model, Tensors(data, fitted.encoder, neutral_context=True))
        known = logits_of(fitted.model, Tensors(data, fitted.encoder))
        assert not np.allclose(held, known), "position was not learnt at all"
