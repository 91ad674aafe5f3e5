"""The models by name: a new one is a file, a settings class and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from segments.errors import UsageError
from spark_jobs.models.boosted_settings import BoostedSettings
from spark_jobs.models.multi_task_settings import MMoESettings, PLESettings, SharedBottomSettings
from spark_jobs.models.settings import (
    DCNSettings,
    DCNv2Settings,
    DeepFMSettings,
    DeepFwFMSettings,
    DNNSettings,
    EnsembleSettings,
    FMSettings,
    FwFMSettings,
    LogisticSettings,
    MixtureSettings,
    ModelSettings,
    TwoTowerSettings,
    WideDeepSettings,
)

if TYPE_CHECKING:
    from spark_jobs.models.encoding import Encoder
    from spark_jobs.models.ranker import Layout, Ranker

# kind → its settings and the network's module and class. The network is imported when it is built, because torch takes
# seconds to load and most commands never need it.
MODELS: dict[str, tuple[type[ModelSettings], str, str]] = {
    "deepfm": (DeepFMSettings, "spark_jobs.models.deepfm", "DeepFM"),
    "dnn": (DNNSettings, "spark_jobs.models.dnn", "DNN"),
    "wide_deep": (WideDeepSettings, "spark_jobs.models.wide_deep", "WideDeep"),
    "deepfwfm": (DeepFwFMSettings, "spark_jobs.models.deepfwfm", "DeepFwFM"),
    "dcn": (DCNSettings, "spark_jobs.models.dcn", "DCN"),
    "dcnv2": (DCNv2Settings, "spark_jobs.models.dcnv2", "DCNv2"),
    "fwfm": (FwFMSettings, "spark_jobs.models.fwfm", "FwFM"),
    "fm": (FMSettings, "spark_jobs.models.fm", "FM"),
    "two_tower": (TwoTowerSettings, "spark_jobs.models.two_tower", "TwoTower"),
    "logistic": (LogisticSettings, "spark_jobs.models.logistic", "Logistic"),
    "xgboost": (BoostedSettings, "spark_jobs.models.boosted", "Boosted"),
    "shared_bottom": (SharedBottomSettings, "spark_jobs.models.shared_bottom", "SharedBottom"),
    "mmoe": (MMoESettings, "spark_jobs.models.mmoe", "MMoE"),
    "ple": (PLESettings, "spark_jobs.models.ple", "PLE"),
    "ensemble": (EnsembleSettings, "spark_jobs.models.ensemble", "Ensemble"),
    "mixture": (MixtureSettings, "spark_jobs.models.mixture", "Mixture"),
}


def model_settings(values: dict[str, object]) -> ModelSettings:
    """Settings of the model that `values["kind"]` names, from a plain mapping.

    Raises:
        UsageError: an unknown kind or a wrong setting.
    """
    asked = str(values.get("kind", "deepfm"))
    # Papers and people write DCN-v2, Wide & Deep, two-tower.
    plain = {name.replace("_", ""): name for name in MODELS}
    kind = plain.get("".join(letter for letter in asked.lower() if letter.isalnum()), asked)
    if kind not in MODELS:
        raise UsageError.unknown("model", kind, MODELS)
    return MODELS[kind][0].of({**values, "kind": kind}, where=f"model {kind}")


def build(settings: ModelSettings, encoder: Encoder, *, seed: int) -> Ranker:
    """A fresh network for the encoder's fields; the same seed gives the same weights."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(settings, encoder.layout)


def network(settings: ModelSettings, layout: Layout) -> Ranker:
    """A fresh network for a layout, its weights drawn from torch's generator as it stands."""
    from importlib import import_module

    _, module, name = MODELS[settings.kind]
    made: Callable[[ModelSettings, Layout], Ranker] = getattr(import_module(module), name)
    return made(settings, layout)
