"""es-ranking as a contender: the library's own reader of columns, training loop and scoring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from contest import Job, Stopwatch, leave
from numpy.typing import NDArray

from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.calibration import sigmoid
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples
from spark_jobs.models.registry import model_settings
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings


def main() -> None:
    """One run: read and hash, train, predict."""
    job = Job.from_command_line()
    torch.set_num_threads(1)
    watch = Stopwatch()
    half = len(job.fields) // 2  # the first half stands for the viewer's fields: the network has two sides
    per_value = int(job.extra.get("buckets", 8))  # eight rows a value: an eighth of the ids share one
    schema = FieldSchema(
        fields=tuple(
            Field(name=name, buckets=max(1024, per_value * size), role="user" if f < half else "item")
            for f, (name, size) in enumerate(zip(job.fields, job.sizes, strict=True))
        )
    )
    encoder = Encoder(schema)
    train, valid = (_examples(pq.read_table(job.file(part, "parquet")), encoder) for part in ("train", "valid"))
    watch.lap("load")
    settings = TrainingSettings.of(
        {
            "epochs": job.epochs,
            "batch_size": job.batch,
            "learning_rate": job.learning_rate,
            "weight_decay": job.l2,
            "drop_ids": 0.0,
            "correction": "none",
            "patience": job.epochs,
            "seed": job.seed,
            "threads": 1,
            **job.extra.get("training", {}),
        },
        where="training",
    )
    fitted = fit(_model(job), encoder, train=train, valid=valid, settings=settings)
    watch.lap("fit")
    test = _examples(pq.read_table(job.file("test", "parquet")), encoder)
    watch.lap("load_test")
    logits = score_examples(fitted, test)
    watch.lap("predict")
    spent = [point["seconds"] for point in fitted.curve]
    leave(job, watch, sigmoid(logits), parameters=fitted.model.size, epoch_seconds=spent)


def _model(job: Job) -> Any:
    """Settings of our model of the job's name."""
    deep = {"dim": job.dim, "hidden": job.hidden}
    settings: dict[str, dict[str, object]] = {
        "lr": {"kind": "logistic"},
        "fm": {"kind": "fm", "dim": job.dim},
        "fwfm": {"kind": "fwfm", "dim": job.dim},
        "dnn": {"kind": "dnn", **deep},
        "wide_deep": {"kind": "wide_deep", **deep},
        "deepfm": {"kind": "deepfm", **deep},
        "dcn": {"kind": "dcn", "crosses": job.cross, **deep},
        "dcnv2": {"kind": "dcnv2", "crosses": job.cross, **deep},
        "two_tower": {"kind": "two_tower", **deep},
    }
    return model_settings({**settings[job.model], **job.extra.get("model", {})})


def _examples(table: pa.Table, encoder: Encoder) -> Examples:
    n = table.num_rows
    none: NDArray[np.int64] = np.zeros(n, dtype=np.int64)
    group = np.asarray(table.column("group").to_numpy())
    return Examples(
        rows=encoder.rows_of(table),
        numbers=encoder.numbers_of(table),
        item=none,
        vectors=np.zeros((1, 0), dtype=np.float32),
        label=np.asarray(table.column("label").to_numpy(), dtype=np.float64),
        rate=np.ones(n),
        group=group,
        user=group,
        time=none,
    )


if __name__ == "__main__":
    main()
