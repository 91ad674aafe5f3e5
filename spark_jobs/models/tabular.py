"""Any labelled table as examples: columns inferred or declared, one model fitted, figures on the test rows."""

from __future__ import annotations

import logging
import math
import re
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
from pydantic import Field as Setting

from segments.config import Settings
from segments.errors import ContractBroken, UsageError
from spark_jobs.evaluation.auc import auc, gauc
from spark_jobs.evaluation.calibration import ece, logloss
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.calibration import calibrate
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, hashes, task_labels
from spark_jobs.models.multi_task_settings import tasks_of
from spark_jobs.models.registry import model_settings
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings

_log = logging.getLogger("es_ranking.models")
# Embedding rows of a field by default: of ids with twice as many rows as values four in ten share one, with eight times
# as many one in eight; on 38,000 products and fifteen small fields that was worth 0.007 of AUC.
LEAST_ROWS, ROWS_A_VALUE, MOST_ROWS = 1024, 8, 2**20
FEW_NUMBERS = 100  # integers with fewer distinct values are categories
FEW_REPEATS = 10  # integers that repeat less often, on average, teach nothing as categories
TWIN = "#number"
IDS = re.compile(r"(^|_)(id|code|key|hash)$|[a-z]id$|^(cat|c)_?\d+$")
VIEWERS = re.compile(r"user|member|customer|household|visitor|viewer|gender|^age|occupation")


class TabularTraining(TrainingSettings):
    """The loop's settings with the defaults of `models fit`: ids by the hundred thousand, nothing sampled."""

    epochs: int = Setting(default=10, ge=1, description="at most so many passes over the examples")
    batch_size: int = Setting(default=4096, ge=1)
    optimizer: Literal["adam", "rowwise_adagrad", "auto"] = "auto"
    learning_rate: float = Setting(default=1e-3, gt=0.0)
    patience: int = Setting(default=2, ge=1)
    correction: Literal["offset", "weights", "none"] = "none"


class TabularSettings(Settings):
    """A configuration of `models fit`."""

    model: dict[str, Any] = Setting(default={}, description="settings of the model")
    training: TabularTraining = TabularTraining()
    columns: dict[str, Literal["categorical", "numeric", "ignore"]] = Setting(
        default={}, description="column → what it is; columns not named are inferred"
    )
    sides: dict[str, Literal["item", "segment", "context", "user"]] = Setting(
        default={}, description="column → who it belongs to; columns not named are the item's"
    )


def fit_files(
    *, train: Path, valid: Path, test: Path, label: str, group: str | None, model: str, config: Path | None
) -> dict[str, object]:
    """Fits on files. Keys: auc, gauc (None without group), logloss, ece, parameters, epochs, rows_per_second, seconds,
    and columns: what each column was taken for.

    Raises:
        UsageError: unknown model, column or setting, or a file of an unknown kind.
        ContractBroken: labels that are not 0 and 1, or files with different columns.
        Refused: the training rows hold one label only.
    """
    started = time.perf_counter()
    settings = TabularSettings.read(config) if config else TabularSettings()
    chosen = model_settings({**settings.model, "kind": model})
    tables = {name: read_table(path) for name, path in (("train", train), ("valid", valid), ("test", test))}
    first, tasks = tables["train"], tasks_of(chosen)
    for name, table in tables.items():
        needed = {label, *([group] if group else []), *(f"label_{task}" for task in tasks)}
        absent = (needed | set(first.column_names)) - set(table.column_names)
        if absent:
            raise UsageError(f"the {name} file lacks the columns {', '.join(sorted(absent))}")
    schema = infer(first, label=label, group=group, settings=settings, tasks=tasks)
    inferred = {field.name: field.kind for field in schema.fields}
    _log.info("columns: %s", ", ".join(f"{name} {kind}" for name, kind in inferred.items()))
    encoder = Encoder(schema)
    examples = {
        name: _examples(table, encoder, label=label, group=group, tasks=tasks) for name, table in tables.items()
    }
    fitted = fit(chosen, encoder, train=examples["train"], valid=examples["valid"], settings=settings.training)
    check, held = examples["test"], examples["valid"]
    calibration = calibrate(
        score_examples(fitted, held), held.label, 1.0 / held.rate, method=settings.training.calibration
    )
    logits = score_examples(fitted, check)
    chance = calibration(logits)
    within = gauc(check.label, logits, check.group) if group else math.nan
    speed = [point["rows_per_second"] for point in fitted.curve]
    return {
        "auc": auc(check.label, logits),
        "gauc": within if math.isfinite(within) else None,
        "logloss": logloss(check.label, chance),
        "ece": ece(check.label, chance),
        "parameters": fitted.model.size,
        "epochs": fitted.epochs,
        "rows_per_second": float(np.median(speed)),
        "seconds": time.perf_counter() - started,
        "columns": inferred,
    }


def read_table(path: Path) -> pa.Table:
    """A CSV (any of .csv, .tsv, .txt, also .gz) or a Parquet file or folder.

    Raises:
        UsageError: neither, or it cannot be parsed.
    """
    name = path.name.lower().removesuffix(".gz")
    try:
        if path.is_dir() or name.endswith((".parquet", ".pq")):
            return pyarrow.dataset.dataset(path, format="parquet").to_table()
        if name.endswith((".csv", ".tsv", ".txt")):
            separator = "\t" if name.endswith(".tsv") else ","
            parsing = pyarrow.csv.ParseOptions(delimiter=separator)
            return pyarrow.csv.read_csv(path, parse_options=parsing)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"cannot read the file: {' '.join(str(error).split())}", where=str(path)) from error
    raise UsageError("neither CSV nor Parquet", where=str(path), hint="name it .csv, .tsv or .parquet")


def infer(
    table: pa.Table, *, label: str, group: str | None, settings: TabularSettings, tasks: tuple[str, ...] = ()
) -> FieldSchema:
    """The fields of a table: declared ones as declared, the others by their type and number of distinct values.

    Text, booleans and dates are categorical, floating numbers numeric. Integers are categorical, since an id read as a
    number is lost while a number read as categories is not; those with 100 or more distinct values that are not named
    as ids are numeric as well (field `NAME#number`), and those with fewer than ten rows a value are numeric only. A
    field gets eight times as many embedding rows as it has values, at least 1,024 and at most 1,048,576.

    Raises:
        UsageError: a declared column is not in the table, or no column is left.
    """
    for name in (*settings.columns, *settings.sides):
        if name not in table.column_names:
            raise UsageError.unknown("column", name, table.column_names)
    fields: list[Field] = []
    for name in table.column_names:
        if name in {label, group, *(f"label_{task}" for task in tasks)} and name not in settings.columns:
            continue
        declared = settings.columns.get(name)
        for kind in _kinds(name, table.column(name)) if declared is None else (declared,):
            if kind == "ignore":
                continue
            buckets = 8
            if kind == "categorical":
                distinct = pc.count_distinct(table.column(name)).as_py()
                buckets = min(MOST_ROWS, max(LEAST_ROWS, ROWS_A_VALUE * distinct))
            twin = kind == "numeric" and bool(fields) and fields[-1].name == name
            role = settings.sides.get(name, "user" if VIEWERS.search(name.lower()) else "item")
            fields.append(Field(name=f"{name}{TWIN}" if twin else name, kind=kind, role=role, buckets=buckets))
    if not fields:
        raise UsageError("no column is left to learn from")
    if all(field.role == "item" for field in fields) and len(fields) > 1:
        # Two towers need two sides. Where names tell nothing, the first half of the columns is the viewer's.
        half = len(fields) // 2
        fields = [field.model_copy(update={"role": "user"}) for field in fields[:half]] + fields[half:]
    return FieldSchema(fields=tuple(fields))


def _kinds(name: str, column: pa.ChunkedArray) -> tuple[Literal["categorical", "numeric"], ...]:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return ("numeric",)
    if not pa.types.is_integer(kind):
        return ("categorical",)
    distinct = pc.count_distinct(column).as_py()
    if distinct < FEW_NUMBERS or IDS.search(name.lower()):
        return ("categorical",)
    return ("numeric",) if distinct * FEW_REPEATS > len(column) else ("categorical", "numeric")


def _examples(table: pa.Table, encoder: Encoder, *, label: str, group: str | None, tasks: tuple[str, ...]) -> Examples:
    for field in encoder.numeric:
        if field.name.endswith(TWIN) and field.name not in table.column_names:
            table = table.append_column(field.name, table.column(field.name.removesuffix(TWIN)))
    try:
        labels = np.asarray(table.column(label).cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ContractBroken(f"column {label} is not a label of 0 and 1", where=label) from error
    n = table.num_rows
    visits = hashes(table.column(group).cast(pa.string()).fill_null("")) if group else np.zeros(n, dtype=np.int64)
    return Examples(
        rows=encoder.rows_of(table),
        numbers=encoder.numbers_of(table),
        item=np.zeros(n, dtype=np.int64),
        vectors=np.zeros((1, 0), dtype=np.float32),
        label=labels,
        rate=np.ones(n),
        group=visits,
        user=visits,
        time=np.zeros(n, dtype=np.int64),
        tasks=task_labels(table, tasks),
    )
