"""Settings of the one training loop. Free of torch, so that recipes read quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from segments.config import Settings


class TrainingSettings(Settings):
    """How a network is trained, whatever its kind."""

    epochs: int = Setting(default=5, ge=1, description="at most so many passes over the examples")
    batch_size: int = Setting(
        default=8192, ge=1, description="examples a step; small data takes a hundredth of its rows"
    )
    optimizer: Literal["adam", "rowwise_adagrad", "auto"] = Setting(
        default="adam",
        description="of the embedding table; everything else is always Adam's. auto: row-wise Adagrad of embeddings, "
        "Adam where a row is one weight",
    )
    learning_rate: float = Setting(default=2e-3, gt=0.0)
    table_rate: float = Setting(default=0.01, gt=0.0, description="learning rate of the table under row-wise Adagrad")
    schedule: Literal["exponential", "plateau", "cosine"] = Setting(
        default="exponential", description="how both rates fall; plateau: times 0.1 after an epoch without a gain"
    )
    decay: float = Setting(default=1.0, gt=0.0, le=1.0, description="exponential: times this after each epoch")
    warmup_steps: int = Setting(default=0, ge=0, description="steps over which the rates rise from nothing")
    least_rate: float = Setting(default=1e-6, ge=0.0, description="plateau and cosine: the learning rate's floor")
    weight_decay: float = Setting(default=1e-5, ge=0.0, description="L2 on all weights, added to the gradient")
    emb_reg: float = Setting(
        default=0.0, ge=0.0, description="λ of λ/2·‖table‖² in the loss; with rowwise_adagrad of the step's rows only"
    )
    clip: float = Setting(default=10.0, gt=0.0, description="largest norm of a step's gradient")
    averaging: float = Setting(
        default=0.0, ge=0.0, lt=1.0, description="keep this share of the running mean of the weights each step; 0: off"
    )
    patience: int = Setting(default=1, ge=1, description="epochs without improvement before training stops")
    min_steps: int = Setting(default=200, ge=0, description="steps before training may stop early")
    drop_ids: float = Setting(default=0.02, ge=0.0, lt=1.0, description="ids shown as never seen, to train that row")
    mask_segments: float = Setting(
        default=0.3, ge=0.0, lt=1.0, description="of `any` for a segment field; half of it hides all at once"
    )
    mask_context: float = Setting(
        default=0.3, ge=0.0, lt=1.0, description="of neutral for a context field; half of it hides all"
    )
    correction: Literal["offset", "weights", "none"] = Setting(
        default="offset", description="how sampled negatives are corrected for in the loss"
    )
    half_life_days: float | None = Setting(
        default=None, gt=0.0, description="an example counts half after so many days; null: all count alike"
    )
    negatives: float = Setting(default=1.0, gt=0.0, le=1.0, description="share of the unclicked rows an epoch reads")
    negative_method: Literal["uniform", "resample"] = Setting(
        default="uniform", description="uniform: one draw for all epochs; resample: a new one each epoch"
    )
    calibration: Literal["platt", "isotonic", "none"] = "platt"
    level_days: int = Setting(
        default=182, ge=1, description="last days of the examples whose click rate sets the level of the probabilities"
    )
    seed: int = 7
    device: Literal["cpu", "cuda", "auto"] = Setting(
        default="cpu", description="auto: cuda where there is one. On the CPU the same seed gives the same bits"
    )
    threads: int = Setting(default=0, ge=0, description="torch threads; 0: torch's own choice, one for small steps")
    validation_rows: int = Setting(default=1_000_000, ge=1, description="at most so many rows choose the epoch")
    memory_rows: int = Setting(default=20_000_000, ge=1, description="more examples than this are streamed from disk")
    block_rows: int = Setting(default=500_000, ge=1, description="rows a block where examples are streamed")
    checkpoint_every: Annotated[int, Setting(ge=0)] | Literal["epoch"] = Setting(
        default=0, description="steps between two savings of an unfinished training; `epoch`: at epochs' ends; 0: none"
    )
