"""From columns to rows of one shared embedding table: stable hashing with a per-field shift (Weinberger et al., 2009).

Field f owns the rows offset_f … offset_f + buckets_f + 1: the first is *out of vocabulary* (values not seen in
training), the second is *neutral* (`any` for a segment, unknown position, a missing value), and value v lies in row
offset_f + 2 + hash64(v) mod buckets_f. Rows that training never saw are read as out of vocabulary.

Numbers become normal scores: a value is replaced by the normal quantile of its mid-rank among the training rows, read
from at most 257 stored quantiles and straight lines between them. Rates, counts and prices of any scale come out alike,
and an outlier is merely the largest. A field with `transform: log` (or `log1p`, for counts: the logarithm of one more)
is its logarithm, standardised, instead: a list's first places are the upper thousandth of all impressions, where normal
scores tell hardly anything apart. Missing, NaN and infinite values become 0, the middle; so do a constant column, and
what has no logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from segments.errors import ContractBroken
from segments.hashing import hash_strings
from spark_jobs.fields import Field, FieldSchema, Role
from spark_jobs.models.ranker import Layout, layout_of

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]
KNOTS = 257
SAMPLE = 200_000  # rows the quantiles are taken from
BLOCK = 4096  # rows of some dozens of fields that stay in a core's cache


class Encoder:
    """The fields of a schema as arrays; holds what training has seen."""

    def __init__(self, schema: FieldSchema) -> None:
        self.schema = schema
        self.layout: Layout = layout_of(schema)
        self.categorical = schema.of_kind("categorical")
        self.numeric = schema.of_kind("numeric")
        self.vectors = schema.of_kind("vector")
        sizes = np.array([field.buckets + 2 for field in self.categorical], dtype=np.int64)
        # Rows are kept in 32 bits (half the memory of an epoch); values are hashed in 64.
        if sizes.sum() >= 2**31:
            raise ContractBroken("the embedding table would have more than 2**31 rows", hint="fewer buckets")
        self.out_of_vocabulary: Rows = (np.cumsum(sizes) - sizes).astype(np.int32)
        self.neutral: Rows = (self.out_of_vocabulary + 1).astype(np.int32)
        self.seen: NDArray[np.bool_] = np.ones(self.layout.table_rows, dtype=np.bool_)
        # Value and score of each knot, (2, N, KNOTS), a short curve padded with its last knot.
        self.knots: Floats = np.zeros((2, len(self.numeric), KNOTS), dtype=np.float32)
        self._memory: dict[str, dict[str, int]] = {field.name: {} for field in self.categorical}

    def copy(self) -> Encoder:
        """The same fields and the same memory of what training has seen, to be changed apart."""
        found = Encoder(self.schema)
        found.seen, found.knots = self.seen.copy(), self.knots.copy()
        return found

    def values(self) -> dict[str, dict[int, str]]:
        """By categorical field, what has been encoded here: embedding row → value, several that share one joined."""
        found: dict[str, dict[int, str]] = {}
        for f, (name, memory) in enumerate(self._memory.items()):
            rows: dict[int, list[str]] = {int(self.neutral[f]): ["any"]}
            for value, row in memory.items():
                rows.setdefault(row, []).append(value)
            found[name] = {row: "/".join(sorted(values)) for row, values in rows.items()}
        return found

    def roles(self, *roles: Role) -> NDArray[np.bool_]:
        """Which categorical columns have one of the roles, (C,)."""
        return np.array([field.role in roles for field in self.categorical], dtype=np.bool_)

    def rows_of(self, table: pa.Table) -> Rows:
        """Hashed rows (n, C) of a table; a column it lacks is neutral throughout. Does not look at `seen`."""
        found = np.empty((table.num_rows, len(self.categorical)), dtype=np.int32)
        columns = [
            self._column(table.column(field.name), f, field) if field.name in table.column_names else None
            for f, field in enumerate(self.categorical)
        ]
        # Block by block: a whole column at a time would walk over the rows' memory once a field.
        for start in range(0, table.num_rows, BLOCK):
            rows = slice(start, start + BLOCK)
            for f, column in enumerate(columns):
                found[rows, f] = self.neutral[f] if column is None else column[rows]
        return found

    def known(self, rows: Rows) -> Rows:
        """The rows with those never seen in training replaced by their field's out-of-vocabulary row."""
        known = np.where(self.seen[rows], rows, self.out_of_vocabulary[None, :])
        return np.asarray(known, dtype=np.int32)

    def numbers_of(self, table: pa.Table) -> Floats:
        """Numbers (n, N), NaN where missing or not finite; a column the table lacks is missing."""
        found = np.full((table.num_rows, len(self.numeric)), np.nan, dtype=np.float32)
        for f, field in enumerate(self.numeric):
            if field.name in table.column_names:
                found[:, f] = _transformed(_finite(table.column(field.name), field.name), field)
        return found

    def normalised(self, numbers: Floats) -> Floats:
        """Normal scores, missing as 0; float32 (n, N)."""
        scores = np.zeros(numbers.shape, dtype=np.float32)
        for f in range(numbers.shape[1]):
            scores[:, f] = np.interp(numbers[:, f], *self.knots[:, f])
        return np.where(np.isfinite(numbers), scores, np.float32(0.0))

    def vectors_of(self, table: pa.Table) -> Floats:
        """All vector fields side by side, (n, W); a missing vector is zeros.

        Raises:
            ContractBroken: a vector of another width than its field's.
        """
        blocks = [vector_column(table, field) for field in self.vectors]
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((table.num_rows, 0), dtype=np.float32)

    def fit(self, rows: Rows, numbers: Floats) -> None:
        """Learns from training rows: which embedding rows occur, and the numbers' quantiles."""
        met = np.zeros(self.layout.table_rows, dtype=np.bool_)
        met[rows.ravel()] = True
        self.learn(met, numbers[:: max(1, len(numbers) // SAMPLE)])

    def learn(self, met: NDArray[np.bool_], sample: Floats) -> None:
        """The same from which embedding rows occur, (table rows,), and an even sample of the numbers, (n, N)."""
        met = met.copy()
        met[self.out_of_vocabulary] = met[self.neutral] = True
        self.seen = met
        self.knots = (
            np.stack([_curve(sample[:, f], field) for f, field in enumerate(self.numeric)], axis=1)
            if self.numeric
            else (np.zeros((2, 0, KNOTS), dtype=np.float32))
        )

    def _column(self, column: pa.ChunkedArray, f: int, field: Field) -> Rows:
        # One dictionary for all chunks: what Python does, it does once a distinct value.
        encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
        encoded = encoded.unify_dictionaries()
        if not encoded.num_chunks:
            return np.empty(0, dtype=np.int32)
        memory, neutral = self._memory[field.name], int(self.neutral[f])
        values = encoded.chunk(0).dictionary.cast(pa.string()).to_pylist()
        known = list(map(memory.get, values))
        fresh = [value for value, row in zip(values, known, strict=True) if row is None and value is not None]
        if fresh:
            base = np.uint64(self.out_of_vocabulary[f] + 2)
            hashed = hash_strings(fresh) % np.uint64(field.buckets) + base
            memory.update(zip(fresh, hashed.tolist(), strict=True))
            known = hashed.tolist() if len(fresh) == len(values) else list(map(memory.get, values))
        # One more row than values, for null.
        lookup = np.array([neutral if row is None else row for row in known] + [neutral], dtype=np.int32)
        parts = [
            lookup[np.asarray(chunk.indices.fill_null(len(values)) if chunk.null_count else chunk.indices)]
            for chunk in encoded.chunks
        ]
        return np.concatenate(parts)


def vector_column(table: pa.Table, field: Field) -> Floats:
    """One vector field, (n, width) float32; null and missing are zeros, values that are not finite 0."""
    found = np.zeros((table.num_rows, field.width), dtype=np.float32)
    if field.name not in table.column_names:
        return found
    column = table.column(field.name).combine_chunks()
    present = np.asarray(column.is_valid())
    flat = np.asarray(column.drop_null().flatten(), dtype=np.float32)
    if flat.size != int(present.sum()) * field.width:
        raise ContractBroken(f"vectors of {field.name} do not all have {field.width} numbers", where=field.name)
    found[present] = np.nan_to_num(flat.reshape(-1, field.width), nan=0.0, posinf=0.0, neginf=0.0)
    return found


def _transformed(values: Floats, field: Field) -> Floats:
    if field.transform == "normal_scores":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = (np.log if field.transform == "log" else np.log1p)(values, dtype=np.float32)
    return np.where(np.isfinite(logarithms), logarithms, np.float32(np.nan))


def _curve(values: Floats, field: Field) -> Floats:
    return _knots(values) if field.transform == "normal_scores" else _line(values)


def _line(values: Floats) -> Floats:
    """(2, KNOTS): mean ± 8 standard deviations and -8 … 8, which standardises by one straight line."""
    known = values[np.isfinite(values)].astype(np.float64)
    spread = float(known.std()) if known.size else 0.0
    if spread == 0.0:
        return np.zeros((2, KNOTS), dtype=np.float32)
    z = np.linspace(-8.0, 8.0, KNOTS)
    return np.stack([known.mean() + spread * z, z]).astype(np.float32)


def _knots(values: Floats) -> Floats:
    """(2, KNOTS): values at even quantiles, each once, and the normal quantiles of their mid-ranks."""
    ordered = np.sort(values[np.isfinite(values)])
    if not ordered.size or ordered[0] == ordered[-1]:
        return np.zeros((2, KNOTS), dtype=np.float32)
    x = np.unique(ordered[np.linspace(0, ordered.size - 1, KNOTS).astype(np.int64)])
    middle = (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2.0 * ordered.size)
    y = np.array([NormalDist().inv_cdf(float(u)) for u in np.clip(middle, 1e-3, 1.0 - 1e-3)])
    return np.stack([np.pad(curve, (0, KNOTS - len(x)), mode="edge") for curve in (x, y)]).astype(np.float32)


def _finite(column: pa.ChunkedArray, name: str) -> Floats:
    try:
        values = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ContractBroken(f"numeric field {name} holds {column.type}", where=name) from error
    largest = np.finfo(np.float32).max
    return np.asarray(np.where(np.abs(values) < largest, values, np.nan), dtype=np.float32)


def table_of(columns: Mapping[str, object]) -> pa.Table:
    """A table from plain columns: what tests and segment rows use."""
    return pa.table(dict(columns))
