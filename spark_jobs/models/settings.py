"""Settings of the networks: what a recipe's `model:` block may say. Free of torch, so that recipes read quickly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from segments.config import Settings
from spark_jobs.models.boosted_settings import BoostedSettings
from spark_jobs.models.multi_task_settings import MMoESettings, PLESettings, SharedBottomSettings, tasks_of


class LogisticSettings(Settings):
    """Logistic regression: one weight a field value, the floor every other model must beat."""

    kind: Literal["logistic"] = "logistic"


class FMSettings(Settings):
    """A factorisation machine: linear terms and all pairwise products."""

    kind: Literal["fm"] = "fm"
    dim: int = Setting(default=16, ge=1, description="numbers in an embedding")


FwFMLinear = Literal["weights", "field_vectors", "feature_vectors"]
LINEAR = "a weight a field value, a vector a field, or a vector a field value"


class FwFMSettings(Settings):
    """A factorisation machine whose pairs of fields have trained strengths."""

    kind: Literal["fwfm"] = "fwfm"
    dim: int = Setting(default=16, ge=1, description="numbers in an embedding")
    linear: FwFMLinear = Setting(default="field_vectors", description=LINEAR)


class DeepSettings(Settings):
    """What every model with a deep part has."""

    dim: int = Setting(default=16, ge=1, description="numbers in an embedding")
    hidden: tuple[int, ...] = Setting(default=(128, 64), min_length=1, description="widths of the deep part's layers")
    dropout: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of hidden numbers dropped in training")
    batch_norm: bool = Setting(default=False, description="batch normalisation before each activation of the deep part")


class DNNSettings(DeepSettings):
    """The deep part alone."""

    kind: Literal["dnn"] = "dnn"


class WideDeepSettings(DeepSettings):
    """Linear terms and a deep part."""

    kind: Literal["wide_deep"] = "wide_deep"


class DeepFMSettings(DeepSettings):
    """DeepFM: linear terms, pairwise products, and a deep part over the same embeddings."""

    kind: Literal["deepfm"] = "deepfm"


class DeepFwFMSettings(DeepSettings):
    """DeepFwFM: FwFM and a deep part; DeepLight's pruning where a `prune_` share is set."""

    kind: Literal["deepfwfm"] = "deepfwfm"
    linear: FwFMLinear = Setting(default="field_vectors", description=LINEAR)
    prune_deep: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of each deep layer's weights cut")
    prune_pairs: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of the pairs of fields cut")
    prune_embeddings: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of the embeddings' numbers cut")
    prune_steps: int = Setting(default=300, ge=1, description="steps until those shares are reached")


class DCNSettings(DeepSettings):
    """Deep & Cross: explicit crosses of all inputs beside a deep part."""

    kind: Literal["dcn"] = "dcn"
    crosses: int = Setting(default=3, ge=1, description="cross layers")


class DCNv2Settings(DeepSettings):
    """DCN-v2: crosses by matrices."""

    kind: Literal["dcnv2"] = "dcnv2"
    crosses: int = Setting(default=3, ge=1, description="cross layers")
    structure: Literal["parallel", "stacked"] = Setting(
        default="parallel", description="the deep part beside the crosses, or after them"
    )
    rank: int = Setting(default=0, ge=0, description="of the crosses' matrices; 0: full")


class TwoTowerSettings(Settings):
    """Two towers: one vector for the item, one for whoever looks; their dot product ranks."""

    kind: Literal["two_tower"] = "two_tower"
    dim: int = Setting(default=16, ge=1, description="numbers in an embedding of a field value")
    hidden: tuple[int, ...] = Setting(default=(64,), description="widths of the hidden layers of each tower")
    out: int = Setting(default=32, ge=1, description="numbers in a tower's vector")
    dropout: float = Setting(default=0.0, ge=0.0, lt=1.0, description="share of hidden numbers dropped in training")
    temperature: float | None = Setting(
        default=None, gt=0.0, description="what cosines are divided by; not given: trained, from a third"
    )
    loss: Literal["logloss", "softmax", "both"] = Setting(
        default="logloss",
        description="softmax: the clicked item against the batch's others; alone it gives an order, and calibration "
        "the level",
    )
    softmax_weight: float = Setting(default=1.0, gt=0.0, description="of the softmax loss where loss is both")
    negatives: int = Setting(
        default=0, ge=0, description="further candidates of the softmax, drawn from all rows of the batch"
    )
    correction: Literal["popularity", "none"] = Setting(
        default="popularity", description="of the softmax for how often an item is a candidate"
    )


# One network over embeddings, with one head: what an ensemble may be of.
EmbeddingSettings = (
    DeepFMSettings
    | DNNSettings
    | WideDeepSettings
    | DeepFwFMSettings
    | DCNSettings
    | DCNv2Settings
    | FMSettings
    | FwFMSettings
    | TwoTowerSettings
)


class EnsembleSettings(Settings):
    """One network begun several times: the mean of their logits, without the chance of a single training."""

    kind: Literal["ensemble"] = "ensemble"
    member: Annotated[EmbeddingSettings, Setting(discriminator="kind")] = Setting(
        default=DeepFMSettings(), description="the members' model, with its settings"
    )
    members: int = Setting(default=3, ge=2, description="networks; training and scoring take so many times as long")


# What takes gradient steps: all but the trees.
NetworkSettings = (
    EmbeddingSettings | LogisticSettings | SharedBottomSettings | MMoESettings | PLESettings | EnsembleSettings
)


class MixtureSettings(Settings):
    """A shared network and a weight a field value beside it: what `models choose` fits to a store of its own habits."""

    kind: Literal["mixture"] = "mixture"
    shared_model: Annotated[NetworkSettings, Setting(discriminator="kind")] = Setting(
        default=DeepFMSettings(), description="the shared network, with its settings"
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The further tasks that the shared network learns."""
        return tasks_of(self.shared_model)


ModelSettings = Annotated[NetworkSettings | BoostedSettings | MixtureSettings, Setting(discriminator="kind")]
