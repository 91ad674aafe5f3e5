"""Vectors in Parquet and NumPy files, an item in several rows, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segments.errors import ContractBroken, UsageError
from spark_jobs.vectors.files import load_vectors, save_vectors

ROWS = np.array([[1.0, 2.0], [3.0, 0.0], [5.0, 5.0]], dtype=np.float32)


def test_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.parquet"
    save_vectors(path, ["b", "a", "c"], ROWS)
    ids, vectors = load_vectors(path)
    assert ids == ["a", "b", "c"]
    assert np.array_equal(vectors, ROWS[[1, 0, 2]])


@pytest.mark.parametrize(("pool", "told"), [("mean", [2.0, 1.0]), ("max", [3.0, 2.0])])
def test_an_item_in_several_rows(tmp_path: Path, pool: str, told: list[float]) -> None:
    column = pa.array([*ROWS.tolist(), None], pa.list_(pa.float64()))
    pq.write_table(pa.table({"item_id": [7, 7, 8, 9], "vector": column}), tmp_path / "a.parquet")
    ids, vectors = load_vectors(tmp_path / "a.parquet", pool=pool)  # type: ignore[arg-type]
    assert ids == ["7", "8", "9"]
    assert np.array_equal(vectors[:2], [told, [5.0, 5.0]])
    assert np.isnan(vectors[2]).all()


def test_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "b.npz", item_id=np.array(["x", "y", "x"]), vector=ROWS)
    assert load_vectors(tmp_path / "a.npy")[0] == ["0", "1", "2"]
    ids, vectors = load_vectors(tmp_path / "b.npz")
    assert ids == ["x", "y"]
    assert np.array_equal(vectors, [[3.0, 3.5], [3.0, 0.0]])
    ids, vectors = load_vectors(tmp_path / "a.npy", each=1)
    assert np.array_equal(vectors, [[1.5], [1.5], [5.0]])


def test_files_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_vectors(tmp_path / "none.parquet")
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ContractBroken, match="item_id and vector"):
        load_vectors(tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", np.array([{"no": "pickle"}], dtype=object), allow_pickle=True)
    with pytest.raises(ContractBroken, match="cannot read"):
        load_vectors(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(ContractBroken, match="matrix"):
        load_vectors(tmp_path / "b.npy")
