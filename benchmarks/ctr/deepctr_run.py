"""DeepCTR-Torch as a contender: its models and its own loop."""

from __future__ import annotations

from typing import Any

import torch
from contest import Job, Stopwatch, leave
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import DCN, WDL, DeepFM


def build(job: Job) -> Any:
    """The model of the job's name; a factorisation machine is its DeepFM without a deep part."""
    columns = [SparseFeat(name, size, embedding_dim=job.dim) for name, size in zip(job.fields, job.sizes, strict=True)]
    common = {"l2_reg_linear": job.l2, "l2_reg_embedding": job.l2, "seed": job.seed, "device": "cpu"}
    if job.model in {"fm", "deepfm"}:
        return DeepFM(columns, columns, dnn_hidden_units=job.hidden if job.model == "deepfm" else (), **common)
    if job.model == "wide_deep":
        return WDL(columns, columns, dnn_hidden_units=job.hidden, **common)
    kind = {"dcn": "vector", "dcnv2": "matrix"}[job.model]
    return DCN(
        columns, columns, cross_num=job.cross, cross_parameterization=kind, dnn_hidden_units=job.hidden,
        l2_reg_cross=0.0, **common,
    )  # fmt: skip


def main() -> None:
    """One run: load, train, predict."""
    job = Job.from_command_line()
    torch.set_num_threads(1)
    watch = Stopwatch()
    train, label = job.arrays("train")
    watch.lap("load")
    network = build(job)
    network.compile(torch.optim.Adam(network.parameters(), lr=job.learning_rate), "binary_crossentropy", metrics=[])
    network.fit(train, label, batch_size=job.batch, epochs=job.epochs, verbose=0)
    watch.lap("fit")
    test, _ = job.arrays("test")
    watch.lap("load_test")
    chance = network.predict(test, batch_size=job.batch)
    watch.lap("predict")
    leave(job, watch, chance, parameters=sum(p.numel() for p in network.parameters()))


if __name__ == "__main__":
    main()
