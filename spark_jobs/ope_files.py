"""A log and a policy as files, brought together for off-policy estimation without writing rounds × items down.

The log's rows stay in memory as a few numbers each; the policy, many times larger, is read once in batches, in any
order, and leaves two sums for each logged row: π of the item shown there, and Σ π · q.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
from numpy.typing import NDArray

from segments.errors import ContractBroken, UsageError
from segments.hashing import hash_strings, stir

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

LOG = ("request_id", "item", "position", "reward", "propensity")
POLICY = ("request_id", "item", "position", "probability")
NUMBERS = ("position", "reward", "propensity", "probability")
CLUSTER = ("run", "segment")
BATCH_ROWS = 1 << 18


@dataclass(frozen=True)
class Log:
    """The rows of a log, by request and place; ids are 64-bit hashes.

    Attributes:
        requests: (requests,) ascending hashes of the ids.
        request: (rows,) number of each row's request.
        places: (places,) the positions that occur, ascending.
        place: (rows,) number of each row's position.
        item, reward, propensity: (rows,).
        labels: column → (rows,) hashes, of `run`, `segment` and further columns.
    """

    requests: U64
    request: I64
    places: F64
    place: I64
    item: U64
    reward: F64
    propensity: F64
    labels: dict[str, U64] = field(default_factory=dict)

    def keys(self, columns: Sequence[str]) -> U64:
        """(rows,) one hash of the named label columns; the same for every row where there are none."""
        key = np.zeros(self.item.size, dtype=np.uint64)
        for name in columns:
            key = stir(key ^ self.labels[name])
        return key


@dataclass(frozen=True)
class Chances:
    """Some rows of a policy.

    Attributes:
        row: (n,) the logged row (request and place) that each speaks of.
        items: hashes of the items that occur.
        code: (n,) which of them each row has.
        probability: (n,).
    """

    row: I64
    items: U64
    code: I64
    probability: F64


def read_log(path: Path, further: Sequence[str] = (), *, batch_rows: int = BATCH_ROWS) -> Log:
    """Reads a log (CSV or Parquet).

    Args:
        path: columns `request_id, item, position, reward, propensity`, and the `further` ones; `run` and `segment`
            where there are any.
        further: names of columns to read as labels.
        batch_rows: rows read at once.

    Raises:
        UsageError: the file cannot be read, or a further column is not in it.
        ContractBroken: the file cannot be parsed, a column or value is missing, a propensity is not in (0, 1], or two
            rows have one place.
    """
    source = _open(path, (*LOG, *further, *CLUSTER))
    _columns(source, LOG, path)
    for name in further:
        if name not in source.schema.names:
            raise UsageError.unknown("column", name, source.schema.names, where=str(path))
    labels = [*dict.fromkeys([*further, *(name for name in CLUSTER if name in source.schema.names)])]
    numbers = {name: _Growing(np.float64) for name in LOG if name in NUMBERS}
    hashes = {name: _Growing(np.uint64) for name in ("request_id", "item", *labels)}
    for batch in _batches(source, [*LOG, *labels], path, batch_rows):
        for name, values in numbers.items():
            values.add(_numbers(batch, name, path))
        for name, keys in hashes.items():
            keys.add(_hashes(batch, name, path))
    number = {name: values.whole() for name, values in numbers.items()}
    hashed = {name: keys.whole() for name, keys in hashes.items()}
    wrong = ~((number["propensity"] > 0) & (number["propensity"] <= 1))
    if wrong.any():
        raise ContractBroken(
            f"{int(wrong.sum())} propensities are not above 0 and at most 1, "
            f"such as {number['propensity'][wrong][0]:g}",
            where=str(path),
        )
    requests, request = np.unique(hashed.pop("request_id"), return_inverse=True)
    places, place = np.unique(number.pop("position"), return_inverse=True)
    row_key = request * max(places.size, 1) + place
    order = np.argsort(row_key, kind="stable")
    row_key = row_key[order]
    if (np.diff(row_key) == 0).any():
        raise ContractBroken("two rows of the log have the same request_id and position", where=str(path))
    request, place = np.divmod(row_key, max(places.size, 1))
    # One after the other: whole columns are what memory is spent on.
    for columns in (number, hashed):
        for name in columns:
            columns[name] = columns[name][order]
    return Log(
        requests, request, places, place, hashed["item"], number["reward"], number["propensity"],
        {name: hashed[name] for name in labels},
    )  # fmt: skip


def read_policy(path: Path, log: Log, *, batch_rows: int = BATCH_ROWS) -> Iterator[Chances]:
    """The rows of a policy (CSV or Parquet: `request_id, item, position, probability`), a batch at a time.

    Raises:
        UsageError: the file cannot be read.
        ContractBroken: a column or value is missing, a probability is not in [0, 1], or a request or place is not
            the log's.
    """
    source = _open(path, POLICY)
    _columns(source, POLICY, path)
    whole = log.item.size == log.requests.size * log.places.size  # every request has every place: keys are rows
    row_keys = np.empty(0, dtype=np.int64) if whole else log.request * log.places.size + log.place
    for batch in _batches(source, POLICY, path, batch_rows):
        probability = _numbers(batch, "probability", path)
        wrong = ~((probability >= 0) & (probability <= 1))
        if wrong.any():
            raise ContractBroken(f"a probability is not in 0 … 1: {probability[wrong][0]:g}", where=str(path))
        known, code = _coded(batch, "request_id", path)
        request = find(log.requests, known)[code]
        if (request < 0).any():
            name = batch.column("request_id")[int(np.argmax(request < 0))].as_py()
            raise ContractBroken(f"the policy has request {name}, which the log lacks", where=str(path))
        place = find(log.places, _numbers(batch, "position", path))
        row = request * log.places.size + place
        row = np.where(place < 0, -1, row if whole else find(row_keys, row))
        if (row < 0).any():
            name, position = (batch.column(c)[int(np.argmax(row < 0))].as_py() for c in ("request_id", "position"))
            raise ContractBroken(f"request {name} has no position {position:g} in the log", where=str(path))
        yield Chances(row, *_coded(batch, "item", path), probability)


def find(known: NDArray[Any], wanted: NDArray[Any]) -> I64:
    """(n,) place of each value in the ascending array, -1 where it is not there."""
    at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    return np.where(known[at] == wanted, at, -1)


def _open(path: Path, columns: Sequence[str]) -> ds.Dataset:
    types = {name: pa.float64() if name in NUMBERS else pa.string() for name in columns}
    try:
        if path.is_dir() or path.suffix in (".parquet", ".pq"):
            streamed = ds.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
            return ds.dataset(path, format=ds.ParquetFileFormat(default_fragment_scan_options=streamed))
        if path.suffix == ".csv":
            reading = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
            return ds.dataset(path, format=ds.CsvFileFormat(convert_options=reading))
    except OSError as error:
        raise UsageError(f"cannot read the file: {' '.join(str(error).split())}", where=str(path)) from error
    except pa.ArrowInvalid as error:
        raise ContractBroken(f"cannot be parsed: {str(error).rpartition('Invalid: ')[2]}", where=str(path)) from error
    raise UsageError("neither CSV nor Parquet", where=str(path), hint="name it .csv or .parquet")


def _batches(source: ds.Dataset, columns: Sequence[str], path: Path, batch_rows: int) -> Iterator[pa.RecordBatch]:
    try:
        # what is read ahead is memory
        yield from source.to_batches(
            columns=list(columns), batch_size=batch_rows, batch_readahead=0, fragment_readahead=0, use_threads=False
        )
    except pa.ArrowInvalid as error:  # further on in a CSV
        raise ContractBroken(" ".join(str(error).split()), where=str(path)) from error


def _columns(source: ds.Dataset, wanted: Sequence[str], path: Path) -> None:
    lacking = [name for name in wanted if name not in source.schema.names]
    if lacking:
        raise ContractBroken(f"no column {', '.join(lacking)}", where=str(path), hint=f"needed: {', '.join(wanted)}")


def _numbers(batch: pa.RecordBatch, name: str, path: Path) -> F64:
    try:
        values = pc.cast(batch.column(name), pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise ContractBroken(f"{name} is not a number", where=str(path)) from error
    if not np.isfinite(values).all():
        raise ContractBroken(f"{name} is missing or not finite in {int((~np.isfinite(values)).sum())} rows",
                             where=str(path))  # fmt: skip
    return np.asarray(values, dtype=np.float64)


def _coded(batch: pa.RecordBatch, name: str, path: Path) -> tuple[U64, I64]:
    """Hashes of the different values, and which of them each row has."""
    column = batch.column(name)
    if column.null_count:
        raise ContractBroken(f"{name} is missing in {column.null_count} rows", where=str(path))
    coded = column.dictionary_encode()
    values = pc.cast(coded.dictionary, pa.string()).to_pylist()
    return hash_strings(values), coded.indices.to_numpy().astype(np.int64)


def _hashes(batch: pa.RecordBatch, name: str, path: Path) -> U64:
    known, code = _coded(batch, name, path)
    return np.asarray(known[code], dtype=np.uint64)


class _Growing:
    """An array that parts are added to in place: a list of parts and their whole would be twice the memory."""

    def __init__(self, kind: type[np.generic]) -> None:
        self._values: NDArray[Any] = np.empty(BATCH_ROWS, kind)
        self._size = 0

    def add(self, part: NDArray[Any]) -> None:
        end = self._size + part.size
        if end > self._values.size:
            self._values.resize(max(end, 2 * self._values.size), refcheck=False)
        self._values[self._size : end] = part
        self._size = end

    def whole(self) -> NDArray[Any]:
        self._values.resize(self._size, refcheck=False)
        return self._values
