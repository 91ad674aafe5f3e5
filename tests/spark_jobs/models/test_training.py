from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from segments.errors import ContractBroken, Refused
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import examples_of
from spark_jobs.models.feed import Feed, Ready, batch_size
from spark_jobs.models.masks import Masks
from spark_jobs.models.memory import InMemory
from spark_jobs.models.ranker import Batch
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DeepFMSettings, LogisticSettings
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.ranker import SCHEMA, TRAINING, examples, items_of, world


@pytest.mark.parametrize("correction", ["offset", "weights"])
def test_sampling_is_undone(correction: str) -> None:
    data = examples(20_000)
    random = np.random.default_rng(1)
    rate = np.where(data.label == 1, 1.0, 0.2)
    kept = random.random(len(data)) < rate
    sampled = replace(data, rate=rate).where(kept)
    hidden = {"mask_context": 0.0, "mask_segments": 0.0}
    settings = TRAINING.model_copy(update={"correction": correction, "learning_rate": 0.005, **hidden})
    fitted = fit(LogisticSettings(), Encoder(SCHEMA), train=sampled, valid=None, settings=settings)
    chance = 1.0 / (1.0 + np.exp(-score_examples(fitted, data, neutral_context=False)))
    assert chance.mean() == pytest.approx(data.label.mean(), rel=0.05)


def test_visits_without_unclicked_rows_take_the_mean_offset() -> None:
    data = examples(60)
    group = np.arange(60) // 20
    label = np.where(group == 2, 1.0, np.arange(60) % 2)
    rate = np.where(label == 1, 1.0, np.where(group == 0, 0.5, 0.25))
    found = replace(data, group=group, label=label, rate=rate).offset()
    assert found[:20] == pytest.approx(np.log(2.0))
    assert found[20:40] == pytest.approx(np.log(4.0))
    assert found[40:] == pytest.approx(np.log(8.0) / 2.0)


def test_training_does_not_depend_on_the_order_of_the_table() -> None:
    table, _ = world(2000)
    mixed = table.take(np.random.default_rng(1).permutation(2000))
    settings = TRAINING.model_copy(update={"epochs": 1})
    scores = []
    for rows in (table, mixed):
        data = examples_of(rows, Encoder(SCHEMA), vectors=items_of(60))
        fitted = fit(DeepFMSettings(dim=4), Encoder(SCHEMA), train=data, valid=None, settings=settings)
        scores.append(score_examples(fitted, data))
    assert np.array_equal(*scores)


def test_masks_hide_as_often_as_asked() -> None:
    encoder = Encoder(SCHEMA)
    settings = TrainingSettings(mask_segments=0.3, mask_context=0.4, drop_ids=0.05)
    rows = torch.from_numpy(np.tile(encoder.neutral + 1, (20_000, 1)))
    batch = Batch(rows, torch.ones(20_000, 2), torch.zeros(20_000, 0))
    masked = Masks(encoder, settings)(batch, torch.Generator().manual_seed(1))
    neutral = (masked.rows == torch.from_numpy(encoder.neutral)).double().mean(0)
    unseen = (masked.rows == torch.from_numpy(encoder.out_of_vocabulary)).double().mean(0)
    # item, brand, taste, age, position
    assert neutral.numpy() == pytest.approx([0, 0, 0.3, 0.3, 0.4], abs=0.02)
    assert unseen.numpy() == pytest.approx([0.05] * 5, abs=0.01)
    assert masked.numeric.mean(0).numpy() == pytest.approx([1.0, 0.6], abs=0.02), "price stays, hour is context"


def test_early_stopping_keeps_the_best_epoch() -> None:
    settings = TRAINING.model_copy(update={"epochs": 30, "learning_rate": 0.1, "patience": 2})
    train, valid = examples(1500), examples(3000, seed=4)
    fitted = fit(DeepFMSettings(dim=8), Encoder(SCHEMA), train=train, valid=valid, settings=settings)
    assert len(fitted.curve) < 30, "a small world is learnt by heart long before"
    best = max(point["gauc"] for point in fitted.curve)
    assert fitted.curve[fitted.epochs - 1]["gauc"] == best


def test_develop_refits_on_everything_and_is_calibrated() -> None:
    data = examples(12_000)
    border = int(np.quantile(data.time, 0.75))
    done = develop(DeepFMSettings(dim=4), SCHEMA, examples=data, valid_from=border, training=TRAINING)
    assert done.metrics["examples"] == 12_000
    assert done.metrics["valid_examples"] == (data.time >= border).sum()
    assert 0.9 < done.metrics["mean_ratio"] < 1.1
    assert done.metrics["epochs"] >= 1
    assert set(done.segments) == {"taste", "age"}
    rows = [sum(int(value["rows"]) for value in field.values()) for field in done.segments.values()]
    assert rows == [done.metrics["valid_examples"]] * 2
    assert done.metrics["segments_off"] == 0, "the world is what the network can learn"
    # An item seen only after the border is known to the refitted network.
    only_late = data.where(data.time >= border)
    assert done.checkpoint.encoder.seen[only_late.rows].all()


@pytest.mark.parametrize("clicks", [1, 3])
def test_tiny_shelves_still_get_a_model(clicks: int) -> None:
    data = examples(40)
    label = np.zeros(40)
    label[np.argsort(data.time)[-clicks:]] = 1.0  # all clicks lie after the border
    done = develop(
        DeepFMSettings(dim=4), SCHEMA, examples=replace(data, label=label), valid_from=int(data.time.max()),
        training=TRAINING,
    )  # fmt: skip
    assert done.metrics["epochs"] == TRAINING.epochs
    assert batch_size(40, TRAINING) == 32
    assert batch_size(10_000_000, TRAINING) == TRAINING.batch_size


def test_nothing_to_learn_from_is_refused() -> None:
    data = examples(100)
    with pytest.raises(Refused, match="no examples"):
        develop(LogisticSettings(), SCHEMA, examples=data.where(data.label > 2), valid_from=0, training=TRAINING)
    with pytest.raises(Refused, match="two labels"):
        develop(LogisticSettings(), SCHEMA, examples=data.where(data.label == 0), valid_from=0, training=TRAINING)


@pytest.mark.parametrize(("name", "value"), [("label", 0.5), ("rate", 0.0), ("rate", 1.5)])
def test_broken_examples_are_refused(name: str, value: float) -> None:
    data = examples(10)
    with pytest.raises(ContractBroken, match="examples"):
        replace(data, **{name: np.full(10, value)})


def test_averaging_serves_the_running_mean_of_the_weights() -> None:
    data = examples(4000)
    still = TRAINING.model_copy(update={"epochs": 2, "averaging": 0.999_999})
    plain, slow = (
        fit(DeepFMSettings(dim=4), Encoder(SCHEMA), train=data, valid=None, settings=settings)
        for settings in (TRAINING.model_copy(update={"epochs": 2}), still)
    )
    # A mean that hardly moves stays at the first step's weights, the loop itself goes on.
    assert slow.curve[-1]["train_loss"] == pytest.approx(plain.curve[-1]["train_loss"], rel=1e-9)
    assert score_examples(slow, data).std() < 0.5 * score_examples(plain, data).std()


def test_the_level_is_of_the_last_level_days() -> None:
    """Ten times as many clicks in the second half: a level of the last day is theirs, of all days the mean."""
    data = examples(6000)
    day = np.arange(6000) // 60
    random = np.random.default_rng(5)
    label = (random.random(6000) < np.where(day < 50, 0.04, 0.4)).astype(np.float64)
    data = replace(data, time=day * 86_400_000_000, label=label)
    means = []
    for level_days in (20, 1000):
        done = develop(LogisticSettings(), SCHEMA, examples=data, valid_from=80 * 86_400_000_000,
                       training=TRAINING.model_copy(update={"level_days": level_days}))  # fmt: skip
        means.append(float(done.checkpoint.calibration(np.zeros(1))[0]))
    assert means[0] > 1.3 * means[1]


def test_sample_weights_count_rows_as_repeating_them_would() -> None:
    data = examples(600)
    thrice = np.where(data.rows[:, 3] == data.rows[0, 3], 3, 1)
    repeated = data.where(np.repeat(np.arange(600), thrice))
    network = build(DeepFMSettings(dim=4), Encoder(SCHEMA), seed=1)
    losses = []
    for correction in ("none", "weights"):
        for train in (data, replace(data, weight=thrice.astype(np.float64)), repeated):
            settings = TRAINING.model_copy(update={"correction": correction})
            ready = Ready(train, Encoder(SCHEMA), settings, InMemory(train).facts)
            whole = torch.arange(len(train))
            losses.append(network.objective(ready.data.batch(whole), ready.targets(whole)).item())
    assert losses[1::3] == pytest.approx(losses[2::3], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


@pytest.mark.parametrize("method", ["uniform", "resample"])
@pytest.mark.parametrize("correction", ["offset", "weights"])
def test_unclicked_rows_left_out_are_corrected_for(method: str, correction: str) -> None:
    data = examples(12_000)
    settings = TRAINING.model_copy(update={"negatives": 0.3, "negative_method": method, "correction": correction,
                                           "mask_context": 0.0, "mask_segments": 0.0})  # fmt: skip
    fitted = fit(LogisticSettings(), Encoder(SCHEMA), train=data, valid=None, settings=settings)
    chance = 1.0 / (1.0 + np.exp(-score_examples(fitted, data, neutral_context=False)))
    assert chance.mean() == pytest.approx(data.label.mean(), rel=0.08), "uncorrected it would be twice as much"


def test_unclicked_rows_are_drawn_once_or_each_epoch() -> None:
    data = examples(3000)
    drawn = {}
    for method in ("uniform", "resample"):
        settings = TRAINING.model_copy(update={"negatives": 0.25, "negative_method": method})
        feed = Feed(InMemory(data), Encoder(SCHEMA), settings)
        ready = Ready(data, Encoder(SCHEMA), settings, feed.source.facts)
        drawn[method] = [set(ready.order(feed.random).tolist()) for _ in range(2)]
    clicks = set(np.flatnonzero(data.label).tolist())
    for epochs in drawn.values():
        for rows in epochs:
            assert clicks <= rows
            assert len(rows) - len(clicks) == pytest.approx(0.25 * (3000 - len(clicks)), rel=0.15)
    assert drawn["uniform"][0] == drawn["uniform"][1]
    assert drawn["resample"][0] != drawn["resample"][1]


def test_weights_must_be_numbers() -> None:
    with pytest.raises(ContractBroken, match="weights"):
        replace(examples(10), weight=np.full(10, np.nan))
