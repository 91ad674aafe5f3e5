"""The compressors by name: a new one is a file, a settings class and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from segments.errors import UsageError
from spark_jobs.vectors.settings import (
    AutoencoderSettings,
    CompressorSettings,
    MaxSettings,
    MeanSettings,
    PcaSettings,
    UmapSettings,
)

if TYPE_CHECKING:
    from spark_jobs.vectors.method import Method

# kind → its settings and the method's module and class, imported when it is used: torch takes seconds to load.
COMPRESSORS: dict[str, tuple[type[CompressorSettings], str, str]] = {
    "mean": (MeanSettings, "spark_jobs.vectors.pooling", "MeanBlocks"),
    "max": (MaxSettings, "spark_jobs.vectors.pooling", "MaxBlocks"),
    "pca": (PcaSettings, "spark_jobs.vectors.pca", "PrincipalComponents"),
    "autoencoder": (AutoencoderSettings, "spark_jobs.vectors.autoencoder", "Autoencoder"),
    "umap": (UmapSettings, "spark_jobs.vectors.umap", "Umap"),
}


def compressor_settings(values: dict[str, object]) -> CompressorSettings:
    """Settings of the compressor that `values["kind"]` names, from a plain mapping.

    Raises:
        UsageError: an unknown kind or a wrong setting.
    """
    kind = str(values.get("kind"))
    if kind not in COMPRESSORS:
        raise UsageError.unknown("compressor", kind, COMPRESSORS)
    return COMPRESSORS[kind][0].of(values, where=f"compressor {kind}")


def method_of(kind: str) -> type[Method]:
    """The class of a compressor's method."""
    _, module, name = COMPRESSORS[kind]
    found: type[Method] = getattr(import_module(module), name)
    return found
