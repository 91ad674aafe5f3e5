from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from segments.errors import ContractBroken, UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.boosted_settings import BoostedSettings
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of
from spark_jobs.models.grid import Grid
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.training import continue_training, fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.ranker import SCHEMA, TRAINING, RankerContract, examples, items_of


class TestBoosted(RankerContract):
    SETTINGS = BoostedSettings(trees_a_pass=20, rate=0.2, depth=5)
    LEAST_AUC = 0.75

    def test_every_parameter_gets_a_gradient_and_changes(self) -> None:
        """Trees have no gradient: what training changes is the trees, and the codes of the values it saw."""
        data = examples(2000)
        fitted = fit(self.SETTINGS, Encoder(SCHEMA), train=data, valid=None, settings=TRAINING)
        assert not list(fitted.model.parameters())
        assert fitted.model.size > 80, "no trees"
        seen = fitted.model.get_buffer("coded").numpy()
        assert np.isfinite(seen[fitted.encoder.out_of_vocabulary, :2]).all(), "never seen is a value"
        assert np.isnan(seen[fitted.encoder.neutral]).all(), "neutral is missing"


class TestRanked(TestBoosted):
    SETTINGS = BoostedSettings(objective="rank:ndcg", trees_a_pass=20, rate=0.2, depth=5)
    LEAST_AUC = 0.72


ITEMS, PAGE = 40, 10
SHELF = FieldSchema(fields=(Field(name="item", buckets=4096), Field(name="place", role="context", buckets=64)))


def pages(n: int) -> tuple[Examples, np.ndarray]:
    """(n pages of an old ranking, each item's appeal): who is not looked at is not clicked, and old ranks are wrong."""
    random = np.random.default_rng(4)
    appeal = random.standard_normal(ITEMS)
    old = 0.3 * appeal + random.standard_normal(ITEMS)
    shown = np.argsort(random.random((n, ITEMS)), axis=1)[:, :PAGE]
    shown = np.take_along_axis(shown, np.argsort(-old[shown], axis=1), axis=1)
    place = np.tile(np.arange(PAGE), (n, 1))
    chance = 1.0 / (1.0 + np.exp(1.0 - appeal[shown])) / (1.0 + place)
    table = pa.table(
        {
            "request_id": [f"r{k // PAGE}" for k in range(n * PAGE)],
            "request_at": pa.array(np.arange(n * PAGE) * 1_000_000, pa.timestamp("us")),
            "user_id": [f"u{k // PAGE % 50}" for k in range(n * PAGE)],
            "item_id": [f"i{i}" for i in shown.ravel()],
            "item": [f"i{i}" for i in shown.ravel()],
            "place": [f"p{p}" for p in place.ravel()],
            "label": (random.random((n, PAGE)) < chance).astype(np.float64).ravel(),
            "sampling_rate": np.ones(n * PAGE),
        }
    )
    return examples_of(table, Encoder(SHELF)), appeal


def recovered(examples: Examples, appeal: np.ndarray, settings: BoostedSettings) -> float:
    """Correlation of the learnt order with the appeal; the examples' columns are the first fields of the shelf."""
    schema = FieldSchema(fields=SHELF.fields[: examples.rows.shape[1]])
    training = TrainingSettings(epochs=2, threads=1, mask_context=0.0, drop_ids=0.0)
    fitted = fit(settings, Encoder(schema), train=examples, valid=None, settings=training)
    grid = Grid(Checkpoint(settings, fitted.encoder, fitted.model))
    logits = grid.logits(pa.table({"item": [f"i{i}" for i in range(ITEMS)]}), [{}])[:, 0]
    return float(np.corrcoef(logits, appeal)[0, 1])


def test_debiased_positions_recover_the_appeal_better() -> None:
    examples, appeal = pages(4000)
    plain = {"objective": "rank:ndcg", "trees_a_pass": 20, "rate": 0.2, "depth": 4}
    without = recovered(replace(examples, rows=examples.rows[:, :1]), appeal, BoostedSettings.of(plain))
    debiased = recovered(examples, appeal, BoostedSettings.of({**plain, "position": "place"}))
    assert debiased > without + 0.03


def test_unknown_positions_and_wrong_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="plaec"):
        recovered(*pages(50), BoostedSettings(objective="rank:ndcg", position="plaec"))
    with pytest.raises(UsageError, match=r"rank:ndcg only"):
        model_settings({"kind": "xgboost", "position": "place"})


def test_trees_are_not_continued() -> None:
    data = examples(500)
    settings = BoostedSettings(trees_a_pass=2)
    fitted = fit(settings, Encoder(SCHEMA), train=data, valid=None, settings=TRAINING)
    with pytest.raises(UsageError, match="afresh"):
        continue_training(Checkpoint(settings, fitted.encoder, fitted.model), data, TRAINING)


def test_damaged_trees_are_refused() -> None:
    model = build(BoostedSettings(), Encoder(SHELF), seed=1)
    state = model.state_dict()
    state["tail._extra_state"] = torch.from_numpy(np.frombuffer(b"no trees at all", dtype=np.uint8).copy())
    with pytest.raises(ContractBroken, match="trees"):
        model.load_state_dict(state)


def test_sampling_is_undone() -> None:
    """A tenth of the unclicked rows, with their rate told, gives the probabilities of all rows."""
    random = np.random.default_rng(1)
    data = examples(20_000, seed=6)
    kept = (data.label == 1) | (random.random(len(data)) < 0.1)
    rate = np.where(data.label == 1, 1.0, 0.1)
    sampled = replace(data, rate=rate).where(kept)
    fresh = examples(10_000, seed=8)
    for correction in ("offset", "weights"):
        training = TRAINING.model_copy(update={"correction": correction})
        settings = BoostedSettings(trees_a_pass=10, depth=3)
        fitted = fit(settings, Encoder(SCHEMA), train=sampled, valid=None, settings=training)
        chance = 1.0 / (1.0 + np.exp(-score_examples(fitted, fresh, neutral_context=False)))
        assert chance.mean() == pytest.approx(fresh.label.mean(), rel=0.08), correction


def test_grid_and_trees_go_on_with_a_value_never_seen_and_categories_beyond_the_limit() -> None:
    data = examples(3000)
    settings = BoostedSettings(trees_a_pass=5, most_categories=3)
    fitted = fit(settings, Encoder(SCHEMA), train=data, valid=None, settings=TRAINING)
    grid = Grid(Checkpoint(settings, fitted.encoder, fitted.model))
    found = grid.score(items_of(90), [{"taste": "no such"}, {}])
    assert np.isfinite(found).all()
