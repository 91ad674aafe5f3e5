"""The planted world that ranking models are tried on: what is liked, by whom, and at which position is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of
from spark_jobs.models.training_settings import TrainingSettings

SCHEMA = FieldSchema(
    fields=(
        Field(name="item", buckets=512),
        Field(name="brand", buckets=64),
        Field(name="price", kind="numeric"),
        Field(name="text", kind="vector", width=4),
        Field(name="taste", role="segment", buckets=32),
        Field(name="age", role="segment", buckets=32),
        Field(name="position", role="context", buckets=32),
        Field(name="hour", kind="numeric", role="context"),
    )
)
TRAINING = TrainingSettings(epochs=4, batch_size=512, learning_rate=0.02, weight_decay=0.0, min_steps=0, threads=1)
SEGMENTS = [{}, {"taste": "t0"}, {"taste": "t1", "age": "old"}, {"age": "young"}, {"taste": "never seen"}]


def items_of(n: int) -> pa.Table:
    """n items; the first 60 are the world's."""
    random = np.random.default_rng(5)
    return pa.table(
        {
            "item_id": [f"i{k}" for k in range(n)],
            "item": [f"i{k}" for k in range(n)],
            "brand": [f"b{k % 6}" for k in range(n)],
            "price": random.gamma(2.0, 3.0, n),
            "text": list(random.standard_normal((n, 4)).astype(np.float32)),
        }
    )


def world(n: int = 12_000, *, seed: int = 3) -> tuple[pa.Table, np.ndarray]:
    """Examples with planted truth: items differ, people like their own brands, upper positions are clicked more."""
    random = np.random.default_rng(seed)
    items = items_of(60)
    item, person = random.integers(0, 60, n), random.integers(0, 200, n)
    appeal = np.random.default_rng(11).standard_normal(60)
    likes = np.where(item % 6 == person % 2, 1.5, -0.5)
    position = random.integers(0, 5, n)
    truth = 1.0 / (1.0 + np.exp(-(appeal[item] + likes - 0.4 * position - 0.5)))
    table = items.take(pa.array(item)).append_column("request_id", pa.array([f"r{k // 20}" for k in range(n)]))
    clicked = random.random(n) < truth
    columns = {
        "request_at": pa.array(np.arange(n) * 1_000_000, pa.timestamp("us")),
        "user_id": [f"u{k}" for k in person],
        "label": clicked.astype(np.float64),
        # Who clicks one of the first brands buys it as well; the third of the people without accounts is not known.
        "label_cart": np.where(person % 3 == 2, np.nan, clicked & (item % 6 < 3)),
        "label_purchase": (clicked & (item % 6 < 2)).astype(np.float64),
        "sampling_rate": np.ones(n),
        "taste": [f"t{k % 2}" for k in person],
        "age": ["young" if k % 3 == 0 else "old" for k in person],
        "position": [str(p) for p in position],
        "hour": random.random(n) * 24.0,
    }
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table, truth


def examples(n: int = 12_000, *, seed: int = 3, tasks: tuple[str, ...] = ()) -> Examples:
    return examples_of(world(n, seed=seed)[0], Encoder(SCHEMA), vectors=items_of(60), tasks=tasks)
