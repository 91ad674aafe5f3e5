"""What lighter scoring keeps, whatever the model: chosen pairs alone, and rows of bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segments.errors import Refused, UsageError
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.grid import Grid, encode
from spark_jobs.models.int8_rows import as_bytes
from spark_jobs.models.training import continue_training
from tests.contracts.planted import SCHEMA, SEGMENTS, TRAINING, examples, items_of


class LighterScoring:
    """Part of `RankerContract`, which gives the fixture."""

    def test_chosen_pairs_are_those_of_the_grid(self, checkpoint: Checkpoint) -> None:
        items, grid = items_of(150), Grid(checkpoint)
        chosen = np.random.default_rng(2).random((150, len(SEGMENTS))) < 0.3
        found = grid.some(items, grid.segments(SEGMENTS), chosen)
        assert np.abs(found - grid.logits(items, SEGMENTS)[chosen]).max() <= 1e-5
        assert grid.some(items, grid.segments(SEGMENTS), np.zeros_like(chosen)).shape == (0,)

    def test_rows_of_bytes_are_smaller_near_and_exact(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        tables = [value for name, value in checkpoint.model.named_parameters() if name.rpartition(".")[2] == "table"]
        if not tables or tables[0].shape[1] == 1:
            with pytest.raises(UsageError, match="no embedding rows"):
                as_bytes(checkpoint)
            return
        save(as_bytes(checkpoint), tmp_path / "light")
        save(checkpoint, tmp_path / "whole")
        sizes = [sum(p.stat().st_size for p in (tmp_path / name).glob("weights-*")) for name in ("light", "whole")]
        assert sizes[0] < sizes[1]
        light, items = load(tmp_path / "light", schema=SCHEMA), items_of(80)
        assert np.array_equal(Grid(light).score(items, SEGMENTS), Grid(as_bytes(checkpoint)).score(items, SEGMENTS))
        found, whole = Grid(light).logits(items, SEGMENTS), Grid(checkpoint).logits(items, SEGMENTS)
        assert 0.0 < np.abs(found - whole).max() < 0.05 * whole.std()
        alone = light.model(encode(light.encoder, items)).detach().double().numpy()
        assert np.abs(alone - Grid(light).logits(items, [{}])[:, 0]).max() <= 1e-5
        with pytest.raises(Refused, match="int8"):
            continue_training(light, examples(100), TRAINING)
