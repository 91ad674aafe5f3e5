from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segments.errors import ContractBroken, Refused
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models import checkpoint as room
from spark_jobs.models.checkpoint import SIDECAR, Checkpoint, from_parts, load, save, to_parts
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.grid import Grid
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DeepFMSettings
from tests.contracts.ranker import SCHEMA, SEGMENTS, items_of


def fresh(seed: int) -> Checkpoint:
    settings, encoder = DeepFMSettings(dim=3, hidden=(4,)), Encoder(SCHEMA)
    return Checkpoint(settings, encoder, build(settings, encoder, seed=seed))


def scores(checkpoint: Checkpoint) -> np.ndarray:
    return Grid(checkpoint).score(items_of(10), SEGMENTS)


def test_a_crash_at_any_write_leaves_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(fresh(1), tmp_path)
    real, left = Path.replace, 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return real(self, target)

    for writes_done in (0, 1):
        left = writes_done
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with pytest.raises(KeyboardInterrupt):
                save(fresh(2), tmp_path)
        assert np.array_equal(scores(load(tmp_path)), scores(fresh(1)))
    save(fresh(2), tmp_path)
    assert np.array_equal(scores(load(tmp_path)), scores(fresh(2)))
    assert len(list(tmp_path.glob("weights-*.safetensors"))) == 1, "the old weights are swept"


def test_another_format_is_refused() -> None:
    sidecar, weights = to_parts(fresh(1))
    with pytest.raises(ContractBroken, match="format 1, this release reads 2"):
        from_parts(json.dumps({**json.loads(sidecar), "format": 1}), weights)


def test_another_schema_is_refused_with_the_difference(tmp_path: Path) -> None:
    save(fresh(1), tmp_path)
    fields = [f.model_copy(update={"buckets": 999}) if f.name == "item" else f for f in SCHEMA.fields[:-1]]
    other = FieldSchema(fields=(*fields, Field(name="month", role="context")))
    with pytest.raises(ContractBroken) as error:
        load(tmp_path, schema=other)
    for words in ("field month is missing", "field hour is not in the recipe", "field item has buckets 512, not 999"):
        assert words in str(error.value)
    turned = FieldSchema(fields=SCHEMA.fields[::-1])
    with pytest.raises(ContractBroken, match="another order"):
        load(tmp_path, schema=turned)


def test_missing_damaged_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no checkpoint"):
        load(tmp_path)
    save(fresh(1), tmp_path)
    sidecar, weights = to_parts(fresh(1))
    with pytest.raises(ContractBroken, match="damaged"):
        from_parts(sidecar, weights[:-4] + b"abcd")
    with pytest.raises(ContractBroken, match="sidecar"):
        from_parts("{", weights)
    values = json.loads(sidecar)
    values["model"]["kind"] = "oracle"
    with pytest.raises(ContractBroken, match="unknown model"):
        from_parts(json.dumps(values), weights)
    values = json.loads(sidecar)
    values["model"]["dim"] = 9
    with pytest.raises(ContractBroken, match="do not fit"):
        from_parts(json.dumps(values), weights)
    values["weights"] = "../../etc/passwd"
    (tmp_path / SIDECAR).write_text(json.dumps(values))
    with pytest.raises(ContractBroken, match="not whole"):
        load(tmp_path)


def test_no_pickle_is_ever_loaded() -> None:
    source = Path(room.__file__).read_text()
    assert "pickle" not in source.replace("never a pickle", "")
    assert "torch.load" not in source.replace("safetensors.torch.load", "")
