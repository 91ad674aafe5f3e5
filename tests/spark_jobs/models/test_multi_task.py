from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch

from segments.errors import ContractBroken, UsageError
from spark_jobs.evaluation.auc import auc
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, Tensors, examples_of
from spark_jobs.models.multi_task import MultiTask
from spark_jobs.models.multi_task_settings import MMoESettings, MultiTaskSettings, PLESettings, SharedBottomSettings
from spark_jobs.models.ranker import Targets
from spark_jobs.models.registry import build, model_settings
from spark_jobs.models.settings import DNNSettings
from spark_jobs.models.training import Fitted, fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.sources.world_day import day_of_users
from spark_jobs.sources.world_settings import WorldSettings
from spark_jobs.sources.world_truth import Truth
from tests.contracts.ranker import SCHEMA, RankerContract, examples


class TestSharedBottom(RankerContract):
    SETTINGS: MultiTaskSettings = SharedBottomSettings(dim=4, hidden=(16, 8), tower=(8,), dropout=0.1)
    LEAST_AUC = 0.75


class TestMMoE(TestSharedBottom):
    SETTINGS = MMoESettings(dim=4, hidden=(16, 8), tower=(8,), experts=3)


class TestPLE(TestSharedBottom):
    SETTINGS = PLESettings(dim=4, hidden=(16, 8), tower=(8,), own=2, shared=1, levels=2)


SHOP = FieldSchema(
    fields=(
        Field(name="item", buckets=4096),
        Field(name="brand", buckets=64),
        Field(name="segment", role="segment", buckets=64),
        Field(name="position", role="context", buckets=64),
    )
)
TASKS = ("cart", "purchase", "dwell", "hide")
LURES = WorldSettings(
    users=250, products=240, banners=0, brands=12, categories=2, requests_per_user_day=1.0, page=10, click_rate=0.15,
    lure_share=0.3, lure_click=3.0,
)  # fmt: skip


@cache
def shop(first: int, last: int) -> Examples:
    """Days of the generated world: a third of its clicks are lures', which are left at once and never bought."""
    truth = Truth(LURES)
    events = pa.concat_tables(day_of_users(truth, day, range(LURES.users)) for day in range(first, last))
    kinds = events.column("kind").to_numpy(zero_copy_only=False)
    key = [f"{r} {i}" for r, i in zip(*(events.column(c).to_pylist() for c in ("request_id", "item_id")), strict=True)]
    long = np.nan_to_num(events.column("dwell_ms").to_numpy(zero_copy_only=False).astype(float)) >= 10_000.0
    done = {kind: {k for k, chosen in zip(key, kinds == kind, strict=True) if chosen} for kind in ("click", *TASKS)}
    done["dwell"] = {k for k, chosen in zip(key, (kinds == "dwell") & long, strict=True) if chosen}
    shown = np.flatnonzero(kinds == "impression")
    table = events.take(pa.array(shown))
    number = {name: n for n, name in enumerate(truth.products.ids)}
    item = np.array([number[name] for name in table.column("item_id").to_pylist()])
    person = np.array([int(name[1:]) for name in table.column("user_id").to_pylist()])
    columns = {
        "item": table.column("item_id"),
        "brand": [f"b{b}" for b in truth.products.brand[item]],
        "segment": [f"s{s}" for s in truth.segment[person]],
        "request_at": table.column("request_us").cast(pa.timestamp("us")),
        "sampling_rate": np.ones(len(shown)),
        "label": [float(key[row] in done["click"]) for row in shown],
        **{f"label_{task}": [float(key[row] in done[task]) for row in shown] for task in TASKS},
    }
    table = table.set_column(table.column_names.index("position"), "position", table["position"].cast(pa.string()))
    for name, values in columns.items():
        table = table.append_column(name, values if isinstance(values, pa.ChunkedArray) else pa.array(values))
    return examples_of(table, Encoder(SHOP), tasks=TASKS)


def taught(settings: MultiTaskSettings | DNNSettings) -> Fitted:
    training = TrainingSettings(epochs=3, batch_size=256, learning_rate=5e-3, threads=1)
    return fit(settings, Encoder(SHOP), train=shop(0, 5), valid=None, settings=training)


@cache
def heads(kind: type[MultiTaskSettings]) -> np.ndarray:
    """Log odds (n, tasks) of the days after."""
    fitted = taught(kind(dim=8, hidden=(32,), tower=(16,), tasks=TASKS))
    assert isinstance(fitted.model, MultiTask)
    with torch.inference_mode():
        data = Tensors(shop(5, 8), fitted.encoder, neutral_context=True)
        return fitted.model.tasks(data.batch(slice(0, len(data)))).double().numpy()


@cache
def click_only() -> np.ndarray:
    return score_examples(taught(DNNSettings(dim=8, hidden=(32, 16))), shop(5, 8))


@pytest.mark.parametrize("kind", [SharedBottomSettings, MMoESettings, PLESettings])
def test_a_head_knows_its_act_better_than_the_click_does(kind: type[MultiTaskSettings]) -> None:
    tasks = shop(5, 8).tasks
    assert tasks is not None
    for place, task in enumerate(TASKS[:3]):
        own, click = auc(tasks[:, place], heads(kind)[:, place + 1]), auc(tasks[:, place], click_only())
        assert own > click + 0.03, task
    label = shop(5, 8).label
    assert auc(label, heads(kind)[:, 0]) > auc(label, click_only()) - 0.02, "the click's own head loses little"


def test_the_blend_puts_what_is_hidden_below() -> None:
    data = shop(5, 8)
    assert data.tasks is not None
    hidden = data.tasks[:, 3]
    blend = MMoESettings(dim=8, hidden=(32,), tower=(16,), tasks=TASKS, blend={"click": 1.0, "hide": -0.5})
    clicks, blended = click_only(), score_examples(taught(blend), data)
    assert auc(hidden, clicks) > 0.6, "what is hidden is clicked first"
    assert auc(hidden, blended) < 0.4


def test_labels_that_are_not_known_teach_nothing() -> None:
    encoder = Encoder(SCHEMA)
    model = build(SharedBottomSettings(dim=4, hidden=(8,), tower=()), encoder, seed=1)
    batch = Tensors(examples(64), encoder).batch(slice(0, 64))
    label = torch.zeros(64)
    unknown = torch.full((64, 2), torch.nan)
    told = model.objective(batch, Targets(label, tasks=unknown))
    assert told.isfinite()
    assert told == model.objective(batch, Targets(label))
    unknown[0, 1] = 1.0
    assert model.objective(batch, Targets(label, tasks=unknown)) > told


def test_wrong_tasks_are_refused() -> None:
    for wrong in ({"blend": {"purchase": 0.0}}, {"blend": {"crat": 1.0}}, {"tasks": ["click"]}, {"loss": {"cart": -1}}):
        with pytest.raises(UsageError):
            model_settings({"kind": "mmoe", **wrong})
    with pytest.raises(ContractBroken, match="label_like"):
        examples(10, tasks=("like",))
