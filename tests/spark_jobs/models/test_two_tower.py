from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from segments.errors import UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of
from spark_jobs.models.grid import Grid, encode
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DeepFMSettings, TwoTowerSettings
from spark_jobs.models.tower_vectors import export
from spark_jobs.models.training import fit
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.ranker import SCHEMA, SEGMENTS, RankerContract, items_of


class TestTwoTower(RankerContract):
    SETTINGS = TwoTowerSettings(dim=4, hidden=(16,), out=8)
    LEAST_AUC = 0.75

    def test_exported_vectors_give_the_grid(self, checkpoint: Checkpoint) -> None:
        items = items_of(77)
        vectors = export(checkpoint, items, SEGMENTS)
        assert vectors.item.shape == (77, 8)
        assert vectors.segment.shape == (len(SEGMENTS), 8)
        assert np.abs(vectors.logits() - Grid(checkpoint).logits(items, SEGMENTS)).max() < 1e-5
        assert export(checkpoint, items_of(0), SEGMENTS).item.shape == (0, 8)


class TestWithSoftmax(TestTwoTower):
    SETTINGS = TwoTowerSettings(dim=4, hidden=(16,), out=8, loss="both", softmax_weight=0.5)
    LEAST_AUC = 0.74


def test_vectors_have_the_length_of_the_scale() -> None:
    encoder = Encoder(SCHEMA)
    for settings, length in ((TwoTowerSettings(), 3.0), (TwoTowerSettings(temperature=0.1), 10.0)):
        model = build(settings, encoder, seed=1)
        batch = encode(encoder, items_of(7))
        item, viewer = model.item_part(batch).vector, model.segment_part(batch).vector
        assert item is not None
        assert viewer is not None
        assert torch.allclose(item.norm(dim=1), torch.full((7,), length))
        assert torch.allclose(viewer.norm(dim=1), torch.ones(7))


def test_a_deep_part_over_both_sides_has_no_vectors_to_export() -> None:
    encoder = Encoder(SCHEMA)
    settings = DeepFMSettings(dim=2, hidden=(4,))
    with pytest.raises(UsageError, match="no dot product"):
        export(Checkpoint(settings, encoder, build(settings, encoder, seed=1)), items_of(2), SEGMENTS)


ITEMS, GROUPS = 60, 6
TRUTH = FieldSchema(fields=(Field(name="item", buckets=4096), Field(name="taste", role="segment", buckets=64)))


def clicks(n: int, *, seed: int) -> tuple[Examples, np.ndarray]:
    """(n clicks and as many unclicked rows of random items, what each group likes, (groups, items)).

    Items differ in appeal and groups in taste; a click falls on item j with a chance in proportion to exp(liking), so
    what everybody likes is among the candidates of the softmax most often.
    """
    truth = np.random.default_rng(2)
    liking = 1.3 * truth.standard_normal(ITEMS)[None, :] + truth.standard_normal((GROUPS, ITEMS))
    random = np.random.default_rng(seed)
    group = random.integers(0, GROUPS, 2 * n)
    chance = np.exp(liking) / np.exp(liking).sum(1, keepdims=True)
    item = np.array([random.choice(ITEMS, p=chance[g]) for g in group])
    item[n:] = random.integers(0, ITEMS, n)
    table = pa.table(
        {
            "request_id": [f"r{k // 10}" for k in range(2 * n)],
            "request_at": pa.array(np.arange(2 * n) * 1_000_000, pa.timestamp("us")),
            "user_id": [f"u{k % 50}" for k in range(2 * n)],
            "item_id": [f"i{i}" for i in item],
            "item": [f"i{i}" for i in item],
            "taste": [f"g{g}" for g in group],
            "label": np.repeat([1.0, 0.0], n),
            "sampling_rate": np.ones(2 * n),
        }
    )
    return examples_of(table, Encoder(TRUTH)), liking


def recovered(optimizer: str = "adam", **settings: object) -> float:
    """Mean correlation over groups of the learnt logits with what the group likes."""
    examples, liking = clicks(6000, seed=1)
    training = TrainingSettings.of(
        {"epochs": 6, "batch_size": 256, "learning_rate": 0.02, "mask_segments": 0.0, "drop_ids": 0.0, "threads": 1}
        | {"weight_decay": 0.0, "optimizer": optimizer}
    )
    model = TwoTowerSettings.of({"dim": 8, "hidden": [16], "out": 8, "loss": "softmax", **settings})
    fitted = fit(model, Encoder(TRUTH), train=examples, valid=None, settings=training)
    items = pa.table({"item": [f"i{i}" for i in range(ITEMS)]})
    grid = Grid(Checkpoint(model, fitted.encoder, fitted.model))
    logits = grid.logits(items, [{"taste": f"g{g}"} for g in range(GROUPS)]).T
    return float(np.mean([np.corrcoef(logits[g], liking[g])[0, 1] for g in range(GROUPS)]))


def test_the_correction_recovers_what_people_like_where_candidates_are_the_popular_ones() -> None:
    corrected, uncorrected = recovered(), recovered(correction="none")
    assert corrected > 0.8
    assert corrected > uncorrected + 0.25
    assert recovered(negatives=256, temperature=0.5) > 0.8, "drawn candidates are counted as well"
    assert recovered("rowwise_adagrad") > 0.8, "whose steps number the rows anew"
