from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.errors import ContractBroken, UsageError
from segments.hashing import hash64
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import BLOCK, Encoder

SCHEMA = FieldSchema(
    fields=(
        Field(name="a", buckets=100),
        Field(name="x", kind="numeric"),
        Field(name="b", buckets=50, role="segment"),
        Field(name="v", kind="vector", width=2),
    )
)


def test_rows_are_shifted_by_field() -> None:
    rows = Encoder(SCHEMA).rows_of(pa.table({"a": ["one", None], "b": ["one", "two"]}))
    assert rows[0].tolist() == [2 + hash64("one") % 100, 102 + 2 + hash64("one") % 50]
    assert rows[1].tolist() == [1, 104 + hash64("two") % 50], "null is neutral"


def test_absent_columns_are_neutral_and_unseen_rows_unknown() -> None:
    encoder = Encoder(SCHEMA)
    train = pa.table({"a": ["one", "two"], "b": ["p", "q"]})
    encoder.fit(encoder.rows_of(train), encoder.numbers_of(train))
    rows = encoder.known(encoder.rows_of(pa.table({"a": ["one", "never"]})))
    assert rows.tolist() == [[2 + hash64("one") % 100, 103], [0, 103]]


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=20), st.booleans())
def test_chunks_and_dictionaries_do_not_matter(values: list[str | None], dictionary: bool) -> None:
    plain = pa.array(values, pa.string())
    halves = pa.chunked_array([plain[: len(values) // 2], plain[len(values) // 2 :]], pa.string())
    column = halves.dictionary_encode() if dictionary else halves
    whole = Encoder(SCHEMA).rows_of(pa.table({"a": plain}))
    assert np.array_equal(Encoder(SCHEMA).rows_of(pa.table({"a": column})), whole)


def test_more_rows_than_a_block_are_encoded_as_each_by_itself() -> None:
    n = 2 * BLOCK + 3
    values = [f"b{row % 7}" for row in range(n)]
    whole = Encoder(SCHEMA).rows_of(pa.table({"a": values}))
    each = {value: Encoder(SCHEMA).rows_of(pa.table({"a": [value]}))[0] for value in set(values)}
    assert np.array_equal(whole, np.stack([each[value] for value in values]))


def test_large_ids_stay_apart() -> None:
    schema = FieldSchema(fields=(Field(name="a", buckets=2**20),))
    ids = pa.array([2**24, 2**24 + 1, 2**53, 2**53 + 1, 2**62, 2**62 + 1])
    assert len(set(Encoder(schema).rows_of(pa.table({"a": ids}))[:, 0].tolist())) == 6


def test_numbers_become_normal_scores_whatever_their_scale() -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal(5000)
    encoder = Encoder(SCHEMA)
    for scaled in (x, np.exp(3.0 * x), 1e-6 * x):
        numbers = encoder.numbers_of(pa.table({"x": scaled}))
        encoder.fit(np.zeros((5000, 2), dtype=np.int32), numbers)
        scores = encoder.normalised(numbers)[:, 0]
        assert abs(scores.mean()) < 0.02
        assert scores.std() == pytest.approx(1.0, abs=0.03)
        assert np.corrcoef(scores, x)[0, 1] > 0.99
        assert (np.diff(scores[np.argsort(x)]) >= 0).all()


def test_missing_and_not_finite_are_the_middle_and_constants_nothing() -> None:
    encoder = Encoder(SCHEMA)
    numbers = encoder.numbers_of(pa.table({"x": pa.array([1.0, None, np.nan, np.inf, -np.inf, 1e300, 2.0])}))
    encoder.fit(np.zeros((7, 2), dtype=np.int32), numbers)
    scores = encoder.normalised(numbers)[:, 0]
    assert scores[1:6].tolist() == [0.0] * 5
    assert scores[0] < 0 < scores[6]
    constant = encoder.numbers_of(pa.table({"x": [4.0, 4.0]}))
    encoder.fit(np.zeros((2, 2), dtype=np.int32), constant)
    assert encoder.normalised(constant).tolist() == [[0.0], [0.0]]


def test_vectors_missing_wrong_and_not_finite() -> None:
    encoder = Encoder(SCHEMA)
    table = pa.table({"v": pa.array([[1.0, 2.0], None, [float("nan"), 3.0]], pa.list_(pa.float32()))})
    assert encoder.vectors_of(table).tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 3.0]]
    with pytest.raises(ContractBroken, match="2 numbers"):
        encoder.vectors_of(pa.table({"v": pa.array([[1.0]], pa.list_(pa.float32()))}))


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ContractBroken, match="numeric field x"):
        Encoder(SCHEMA).numbers_of(pa.table({"x": ["many"]}))
    with pytest.raises(UsageError, match="vector field v"):
        Encoder(FieldSchema(fields=(Field(name="v", kind="vector", width=2, role="user"),)))


def test_counts_become_logarithms_of_one_more() -> None:
    encoder = Encoder(FieldSchema(fields=(Field(name="n", kind="numeric", transform="log1p"),)))
    counts = np.array([[0.0], [1.0], [3.0], [7.0], [np.nan]], dtype=np.float32)
    encoder.fit(np.zeros((5, 0), dtype=np.int32), encoder.numbers_of(pa.table({"n": counts[:, 0]})))
    z = encoder.normalised(encoder.numbers_of(pa.table({"n": counts[:, 0]})))[:, 0]
    # Even steps of the logarithm, standardised; what is missing is the middle.
    assert np.diff(z[:4]) == pytest.approx(np.full(3, np.diff(z[:4])[0]), rel=1e-4)
    assert z[:4].std() == pytest.approx(1.0, rel=1e-3)
    assert z[4] == 0.0
