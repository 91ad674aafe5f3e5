"""torch-rechub as a contender: its models, its loader and its trainer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from contest import Job, Stopwatch, leave
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.ranking import DCN, DCNv2, DeepFM, WideDeep
from torch_rechub.trainers import CTRTrainer
from torch_rechub.utils.data import DataGenerator


def build(job: Job) -> Any:
    """The model of the job's name."""
    columns = [SparseFeature(name, size, embed_dim=job.dim) for name, size in zip(job.fields, job.sizes, strict=True)]
    deep = {"dims": list(job.hidden), "dropout": 0.0, "activation": "relu"}
    if job.model == "deepfm":
        return DeepFM(columns, columns, mlp_params=deep)
    if job.model == "wide_deep":
        return WideDeep(columns, columns, mlp_params=deep)
    if job.model == "dcn":
        return DCN(columns, n_cross_layers=job.cross, mlp_params=deep)
    return DCNv2(columns, n_cross_layers=job.cross, mlp_params=deep, use_low_rank_mixture=False)


def main() -> None:
    """One run: load, train, predict."""
    job = Job.from_command_line()
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    watch = Stopwatch()
    train, valid = job.arrays("train"), job.arrays("valid")
    test = job.arrays("test")
    loaders = DataGenerator(*train).generate_dataloader(
        x_val=valid[0], y_val=valid[1], x_test=test[0], y_test=test[1], batch_size=job.batch
    )
    watch.lap("load")
    network = build(job)
    trainer = CTRTrainer(
        network,
        optimizer_params={"lr": job.learning_rate, "weight_decay": job.l2},
        n_epoch=job.epochs,
        earlystop_patience=job.epochs,
        model_path=job.out,
    )
    trainer.fit(loaders[0], loaders[1])
    watch.lap("fit")
    chance = np.asarray(trainer.predict(network, loaders[2]))
    watch.lap("predict")
    leave(job, watch, chance, parameters=sum(p.numel() for p in network.parameters()))


if __name__ == "__main__":
    main()
