from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of, joined
from spark_jobs.models.fading import DAY, Fading
from spark_jobs.models.memory import InMemory
from spark_jobs.models.reading import read_before
from spark_jobs.models.settings import LogisticSettings
from spark_jobs.models.stream import Stream
from spark_jobs.models.training import Fitted, score_examples
from tests.contracts.ranker import SCHEMA, TRAINING, examples, items_of, world

TRAINED = TRAINING.model_copy(update={"epochs": 4, "learning_rate": 0.02})


def test_a_row_counts_half_after_each_half_life() -> None:
    fading = Fading(10.0, latest=50 * DAY)
    times = np.array([50, 40, 30, 45]) * DAY
    assert fading.weight(times) == pytest.approx([1.0, 0.5, 0.25, 0.5**0.5])
    assert fading.weight(times[:2], np.array([3.0, 2.0])) == pytest.approx([3.0, 1.0]), "beside what rows weigh already"


def turned() -> Examples:
    """Eighty days; who is clicked three times as often as others is so until day 60, and the contrary after it."""
    data = examples(16_000)
    random = np.random.default_rng(3)
    day = random.integers(0, 80, len(data))
    liked = (data.rows[:, 1] % 2 == 0) == (day < 60)
    label = (random.random(len(data)) < np.where(liked, 0.6, 0.2)).astype(np.float64)
    return replace(data, time=day * DAY, label=label)


@pytest.mark.parametrize(("half_life", "follows"), [(None, False), (5.0, True)])
def test_a_model_that_forgets_knows_what_is_liked_now(half_life: float | None, follows: bool) -> None:
    data = turned()
    training = TRAINED.model_copy(update={"half_life_days": half_life})
    done = develop(LogisticSettings(), SCHEMA, examples=data, valid_from=70 * DAY, training=training)
    assert done.curve
    now = data.where(data.time >= 60 * DAY)
    logits = score_examples(Fitted(done.checkpoint.model, done.checkpoint.encoder, 1), now)
    odd = now.rows[:, 1] % 2 == 1
    assert (logits[odd].mean() > logits[~odd].mean()) == follows


def test_a_stream_fades_as_examples_do(tmp_path: Path) -> None:
    table, _ = world(3000)
    days = np.random.default_rng(5).integers(0, 40, 3000)
    # Whole visits have one time.
    visit = table.column("request_id").to_pylist()
    first = {name: int(day) for name, day in zip(visit, days.tolist(), strict=True)}
    times = pa.array([first[name] * DAY for name in visit], pa.timestamp("us"))
    table = table.set_column(table.column_names.index("request_at"), "request_at", times)
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(table, folder / "part.parquet")
    settings = TRAINED.model_copy(update={"memory_rows": 10, "block_rows": 700})
    found = read_before(f"file:{folder}", Encoder(SCHEMA), before=2**62, settings=settings,
                        scratch=tmp_path / "shards", vectors=items_of(60))  # fmt: skip
    assert isinstance(found, Stream)
    fading = Fading(7.0, found.latest)
    streamed = replace(found, fading=fading).between(10 * DAY)
    whole = fading.of(examples_of(table, Encoder(SCHEMA), vectors=items_of(60)))
    whole = whole.where(whole.time >= 10 * DAY)
    assert streamed.facts.weight == pytest.approx(InMemory(whole).facts.weight)
    read = joined(list(streamed.blocks(torch.Generator().manual_seed(1))))
    assert read.weight is not None
    assert whole.weight is not None
    assert sorted(zip(read.time, read.weight, strict=True)) == sorted(zip(whole.time, whole.weight, strict=True))
    assert streamed.digest() != found.between(10 * DAY).digest(), "an unfinished training of another fading is refused"
