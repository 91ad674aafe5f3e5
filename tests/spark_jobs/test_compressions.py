"""Compressors compared on a small world: items known by their vectors alone are told apart, and the report is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cli.main import main
from segments.errors import Refused, UsageError
from spark_jobs.compression_settings import CompressionSettings
from spark_jobs.compressions import compare
from spark_jobs.experiment_settings import Experiment, Trial
from spark_jobs.grounds import Ground, run_ground, world_ground
from spark_jobs.recipe import load_recipe
from tests.spark_jobs.small_arena import SHOP, small_arena

WORLD = load_recipe("world")
SMALL = CompressionSettings(
    widths=(8,), world_days=8, world_users=300, world_products=150, world_width=96, epochs=2,
    world_requests=2.0,
).chosen(["mean", "pca"], [])  # fmt: skip


def _ground(seed: int) -> Ground:
    return world_ground(WORLD, WORLD.shelves["product"].model, SMALL, seed=seed)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compare(_ground, SMALL, seeds=(1, 2), folder=tmp_path_factory.mktemp("compared"))


def test_vectors_tell_items_apart_and_figures_are_whole(report: dict[str, Any]) -> None:
    rows = {(row["name"], row["width"]): row for row in report["rows"]}
    assert set(rows) == {("none", 0), ("whole", 96), ("mean", 8), ("pca", 8)}
    assert rows["none", 0]["gauc"]["value"] == pytest.approx(0.5), "without a vector all items are alike"
    assert rows["whole", 96]["over_none"]["value"] > 0.03
    pca, mean = rows["pca", 8], rows["mean", 8]
    assert 1.0 > pca["explained"] > mean["explained"] > 0.0
    assert pca["explained"] == pytest.approx(pca["own"], abs=0.05)
    assert pca["over_pca"] is None
    gap = mean["gauc"]["value"] - pca["gauc"]["value"]
    assert mean["over_pca"]["value"] == pytest.approx(gap)
    assert mean["over_pca"]["low"] < gap < mean["over_pca"]["high"]
    assert rows["none", 0]["explained"] is None
    assert (report["inputs"], report["items"], report["distinct"]) == (96, 150, 150)


def test_the_files(report: dict[str, Any]) -> None:
    picture = Path(report["picture"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads((picture.parent / "compressions.json").read_text(encoding="utf-8")) == report


def test_a_run_is_judged_on_its_own_examples(tmp_path: Path) -> None:
    """Item parity decides who clicks; a vector that says it beats the shop's own, which says nothing."""
    arena = small_arena(tmp_path)
    trial = Trial.of(Experiment(), SHOP)
    ids = sorted(pq.read_table(arena.item_features)["item_id"].to_pylist())
    vectors = np.random.default_rng(1).standard_normal((len(ids) + 1, 6)).astype(np.float32)
    tables = {"examples": arena.examples, "item_features": arena.item_features, "clock": arena.clock,
              "valid_from": arena.valid_from}  # fmt: skip
    ground = run_ground(trial, [*ids, "elsewhere"], vectors, rows=10**9, **tables)
    assert np.array_equal(ground.vectors, vectors[:-1]), "only the run's candidates, in their order"
    assert [field.name for field in ground.schema.fields if field.role == "segment"] == []
    assert ground.beside["text_vector"].shape == (len(ids), 3)
    less = run_ground(trial, ids, vectors[:-1], rows=1000, **tables)
    for few, all_of in ((less.train, ground.train), (less.valid, ground.valid)):
        assert 0 < len(few) < len(all_of)
        kept = np.isin(all_of.group, few.group)
        assert kept.sum() == len(few), "visits are whole"
    with pytest.raises(Refused, match="no candidate"):
        run_ground(trial, ["elsewhere"], vectors[:1], rows=10, **tables)


def test_what_is_compared() -> None:
    said = CompressionSettings.of({"compressors": [{"kind": "autoencoder", "hidden": 9}], "widths": [4]})
    assert [each.kind for each in said.chosen([], []).compressors] == ["autoencoder"]
    both = said.chosen(["autoencoder", "max"], [2])
    assert both.compressors[0] == said.compressors[0]
    assert both.widths == (2,)
    assert {"mean", "max", "pca", "autoencoder"} <= {
        each.kind for each in CompressionSettings().chosen([], []).compressors
    }
    with pytest.raises(UsageError, match="name the run"):
        SMALL.world(load_recipe("complete-journey"), seed=1)


def test_compress_by_command_keeps_and_applies(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((40, 12)).astype(np.float32)
    column = list(vectors)
    pq.write_table(pa.table({"item_id": [f"i{n:02d}" for n in range(40)], "vector": column}), tmp_path / "a.parquet")
    short, kept = str(tmp_path / "short.parquet"), str(tmp_path / "kept.safetensors")
    common = ["vectors", "compress", "--from", str(tmp_path / "a.parquet"), "--output", "json"]
    done = CliRunner().invoke(main, [*common, "--to", short, "--by", "pca", "--width", "3", "--keep", kept])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["items"], told["inputs"], told["width"], told["by"]) == (40, 12, 3, "pca")
    again = CliRunner().invoke(main, [*common, "--to", str(tmp_path / "again.parquet"), "--with", kept])
    assert again.exit_code == 0, again.output
    assert pq.read_table(short).equals(pq.read_table(tmp_path / "again.parquet"))
    assert len(pq.read_table(short)["vector"][0].as_py()) == 3
