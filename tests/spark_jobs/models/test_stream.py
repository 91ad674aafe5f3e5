from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from segments.errors import Refused
from spark_jobs.evaluation.auc import auc
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.ahead import Ahead
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, examples_of, joined
from spark_jobs.models.reading import read_before
from spark_jobs.models.registry import model_settings
from spark_jobs.models.settings import DeepFMSettings
from spark_jobs.models.shards import make_shards
from spark_jobs.models.stream import Stream
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.killed import killed_after
from tests.contracts.ranker import SCHEMA, TRAINING, examples, items_of, world

LATE = 2**62
SMALL = TRAINING.model_copy(update={"memory_rows": 10, "block_rows": 700, "epochs": 2})


def written(table: pa.Table, folder: Path, *, pieces: int = 3) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(pieces):
        part = table.slice(place * table.num_rows // pieces, table.num_rows // pieces + 1)
        stop = min((place + 1) * table.num_rows // pieces, table.num_rows) - place * table.num_rows // pieces
        pq.write_table(part.slice(0, stop), folder / f"part-{place}.parquet", row_group_size=257)
    return f"file:{folder}"


def stream(table: pa.Table, folder: Path, settings: TrainingSettings = SMALL, *, pieces: int = 3) -> Stream:
    found = read_before(
        written(table, folder / f"in-{pieces}", pieces=pieces), Encoder(SCHEMA), before=LATE, settings=settings,
        scratch=folder / f"shards-{pieces}", vectors=items_of(60),
    )  # fmt: skip
    assert isinstance(found, Stream)
    return found


def sorted_rows(data: Examples) -> list[tuple[object, ...]]:
    columns = [
        np.asarray(getattr(data, f.name)) for f in fields(Examples) if f.name not in {"vectors", "tasks", "item"}
    ]
    flat = [column if column.ndim == 2 else column[:, None] for column in columns if column.ndim]
    vectors = data.vectors[data.item]
    return sorted(map(tuple, np.concatenate([*flat, vectors], axis=1).tolist()))


def test_every_row_is_met_once_an_epoch_in_small_blocks(tmp_path: Path) -> None:
    table, _ = world(5000)
    found = stream(table, tmp_path)
    whole = examples_of(table, Encoder(SCHEMA), vectors=items_of(60))
    random = torch.Generator().manual_seed(1)
    epochs = [list(found.blocks(random)) for _ in range(2)]
    for blocks in epochs:
        assert len(blocks) == 8
        assert max(map(len, blocks)) < 1.6 * SMALL.block_rows
        assert sorted_rows(joined(blocks)) == sorted_rows(whole)
        visits = [set(block.group.tolist()) for block in blocks]
        assert sum(map(len, visits)) == len(set().union(*visits)), "visits are whole: the offset is known in the block"
    firsts = [[int(block.group[0]) for block in blocks if len(block)] for blocks in epochs]
    assert firsts[0] != firsts[1], "another order each epoch"
    assert sorted(firsts[0]) == sorted(firsts[1])


def test_columns_that_are_made_on_reading_are_the_same_streamed(tmp_path: Path) -> None:
    """A person's own past is in no table: it is added to rows as they are read."""
    table, _ = world(3000)
    schema = FieldSchema(fields=(*SCHEMA.fields, Field(name="own", kind="numeric", role="user")))

    def own(rows: pa.Table) -> pa.Table:
        return rows.append_column("own", pc.cast(pc.utf8_length(rows["user_id"].cast(pa.string())), pa.float64()))

    folder = written(table, tmp_path / "in")
    read = [
        read_before(folder, Encoder(schema), before=2_000_000_000, settings=settings, scratch=tmp_path / "shards",
                    vectors=items_of(60), added=own)
        for settings in (SMALL, TRAINING)
    ]  # fmt: skip
    streamed, whole = read
    assert isinstance(streamed, Stream)
    assert isinstance(whole, Examples)
    assert set(whole.numbers[:, -1].tolist()) == {2.0, 3.0, 4.0}
    blocks = list(streamed.blocks(torch.Generator().manual_seed(1)))
    assert sorted_rows(joined(blocks)) == sorted_rows(whole)


def test_facts_and_encoder_are_those_of_the_whole(tmp_path: Path) -> None:
    table, _ = world(5000)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, 5000)
    table = table.append_column("sample_weight", pa.array(weights))
    table = table.set_column(table.column_names.index("sampling_rate"), "sampling_rate",
                             pa.array(np.where(np.arange(5000) % 3 == 0, 0.5, 1.0)))  # fmt: skip
    found, whole = stream(table, tmp_path), examples_of(table, Encoder(SCHEMA), vectors=items_of(60))
    assert found.facts.rows == 5000
    assert found.facts.clicked == pytest.approx(whole.label.mean())
    assert found.facts.click_rate == pytest.approx(np.average(whole.label, weights=1 / whole.rate))
    assert found.facts.rate == pytest.approx(whole.rate.mean())
    assert found.facts.weight == pytest.approx(weights.mean())
    mine, theirs = Encoder(SCHEMA), Encoder(SCHEMA)
    found.fit(mine)
    theirs.fit(whole.rows, whole.numbers)
    assert np.array_equal(mine.seen, theirs.seen)
    assert np.array_equal(mine.knots, theirs.knots)
    border = int(np.quantile(whole.time, 0.6))
    early, late = found.between(0, border), found.between(border)
    assert len(early) == (whole.time < border).sum()
    assert len(early) + len(late) == 5000
    drawn = late.sample(600)
    assert 300 < len(drawn) < 900
    assert np.isin(whole.group, drawn.group)[whole.time >= border].sum() == len(drawn), "whole visits"


def test_it_does_not_depend_on_how_the_table_was_partitioned_and_learns_the_same_world(tmp_path: Path) -> None:
    table, _ = world(6000)
    mixed = table.take(np.random.default_rng(1).permutation(6000))
    one, other = stream(table, tmp_path), stream(mixed, tmp_path, pieces=5)
    assert one.digest() == other.digest()
    model = DeepFMSettings(dim=4)
    scores = []
    test = examples(4000, seed=9)
    for source in (one, other):
        fitted = fit(model, Encoder(SCHEMA), train=source, valid=None, settings=SMALL)
        scores.append(score_examples(fitted, test, neutral_context=False))
    assert np.array_equal(*scores)
    data = examples_of(table, Encoder(SCHEMA), vectors=items_of(60))
    whole = fit(model, Encoder(SCHEMA), train=data, valid=None, settings=SMALL)
    known = auc(test.label, score_examples(whole, test, neutral_context=False))
    assert auc(test.label, scores[0]) > known - 0.02


def test_a_streamed_training_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    table, _ = world(3000)
    found = stream(table, tmp_path)
    settings = SMALL.model_copy(update={"checkpoint_every": 7, "negatives": 0.7, "negative_method": "resample"})
    model = DeepFMSettings(dim=4, hidden=(8,), dropout=0.2)

    def train(folder: Path | None) -> dict[str, torch.Tensor]:
        return fit(model, Encoder(SCHEMA), train=found, valid=None, settings=settings, folder=folder).model.state_dict()

    with killed_after(3):
        train(tmp_path / "kept")
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"], "nothing is left running"
    resumed, whole = train(tmp_path / "kept"), train(None)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_stream_is_developed_as_examples_are(tmp_path: Path) -> None:
    table, _ = world(8000)
    data = stream(table, tmp_path)
    times = table.column("request_at").cast(pa.int64()).to_numpy()
    border = int(np.quantile(times, 0.75))
    done = develop(DeepFMSettings(dim=4), SCHEMA, examples=data, valid_from=border, training=SMALL)
    assert done.metrics["examples"] == 8000
    assert done.metrics["clicks"] == table.column("label").to_numpy().sum()
    assert done.metrics["valid_examples"] == (times >= border).sum()
    assert 0.85 < done.metrics["mean_ratio"] < 1.15
    assert done.metrics["gauc"] > 0.6


def test_a_model_that_needs_all_at_once_says_so(tmp_path: Path) -> None:
    table, _ = world(500)
    with pytest.raises(Refused, match="in memory alone"):
        fit(model_settings({"kind": "xgboost"}), Encoder(SCHEMA), train=stream(table, tmp_path), valid=None,
            settings=SMALL)  # fmt: skip


def test_shards_are_used_again_for_the_same_files_only(tmp_path: Path) -> None:
    table, _ = world(500)
    folder = written(table, tmp_path / "in")

    def make(**changes: int) -> float:
        given = {"rows_a_shard": 100, "before": LATE, **changes}
        make_shards(folder, tmp_path / "out", Encoder(SCHEMA), vectors=items_of(60), **given)
        return (tmp_path / "out" / "shard-00000.arrows").stat().st_mtime_ns

    first = make()
    assert make() == first
    assert make(before=300 * 1_000_000) != first
    assert read_before(folder, Encoder(SCHEMA), before=100 * 1_000_000, settings=TRAINING, scratch=tmp_path / "no",
                       vectors=items_of(60)).time.max() == 99 * 1_000_000  # type: ignore[union-attr]  # fmt: skip
    assert not (tmp_path / "no").exists(), "few rows stay in memory"


def test_ahead_makes_one_while_one_is_used_and_hands_errors_over() -> None:
    made: list[int] = []

    def slow(stop: int) -> Iterator[int]:
        for k in range(stop):
            made.append(k)
            yield k
        raise ValueError("the end of it")

    found = []

    def use() -> None:
        for k in Ahead(slow(5)):
            while len(made) < min(k + 2, 5):  # made meanwhile
                time.sleep(0.001)
            assert len(made) <= k + 2, "never more than one ahead"
            found.append(k)

    with pytest.raises(ValueError, match="the end of it"):
        use()
    assert found == [0, 1, 2, 3, 4]
    assert list(Ahead(iter([]))) == []
