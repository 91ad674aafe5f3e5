"""Every compressor keeps the contract; the learnt ones tell more than the pooled ones, and the curved most."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from segments.errors import ContractBroken, MissingExtra, UsageError
from spark_jobs.vectors.compressor import Compressor, fit
from spark_jobs.vectors.fidelity import fidelity
from spark_jobs.vectors.registry import COMPRESSORS, compressor_settings
from spark_jobs.vectors.settings import (
    AutoencoderSettings,
    MaxSettings,
    MeanSettings,
    PcaSettings,
    UmapSettings,
)
from tests.contracts.compressor import CompressorContract, curved


class TestMean(CompressorContract):
    SETTINGS = MeanSettings()
    LEAST = 0.3


class TestMax(CompressorContract):
    SETTINGS = MaxSettings()
    LEAST = 0.3


class TestPca(CompressorContract):
    SETTINGS = PcaSettings()
    LEAST = 0.7


class TestAutoencoder(CompressorContract):
    SETTINGS = AutoencoderSettings(hidden=32, epochs=3)
    LEAST = 0.7


class _Plane:
    """Stands in for the library where it is not installed: some projection, the same for the same seed."""

    def __init__(self, *, n_components: int, n_neighbors: int, random_state: int, n_jobs: int) -> None:
        assert (n_neighbors > 1, n_jobs) == (True, 1)
        self.width, self.seed = n_components, random_state

    def fit_transform(self, sample: Any) -> Any:
        return sample @ np.random.default_rng(self.seed).standard_normal((sample.shape[1], self.width))


class TestUmap(CompressorContract):
    SETTINGS = UmapSettings()
    LEAST = 0.3

    @pytest.fixture(autouse=True)
    def _library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        library = ModuleType("umap")
        library.UMAP = _Plane  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "umap", library)


def test_every_compressor_is_enrolled() -> None:
    enrolled = {each.SETTINGS.kind for each in CompressorContract.__subclasses__()}
    assert enrolled == set(COMPRESSORS)


def test_umap_without_its_library_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtra, match="pip install umap-learn"):
        fit(UmapSettings(), curved(50), width=2)


def test_pooled_numbers_are_those_of_the_blocks() -> None:
    vectors = np.array([[1.0, 3.0, 5.0, -1.0], [3.0, 1.0, 1.0, 7.0]], dtype=np.float32)
    mean, most = (fit(settings, vectors, width=2) for settings in (MeanSettings(), MaxSettings()))
    # The middle is (2, 2, 3, 3), so what is pooled are (-1, 1, 2, -4) and (1, -1, -2, 4), over their length.
    length = np.sqrt((1 + 1 + 4 + 16) * 1.0)
    assert np.allclose(mean.codes.back(mean.transform(vectors)), np.array([[0, -1], [0, 1]]) / length, atol=1e-6)
    assert np.allclose(most.codes.back(most.transform(vectors)), np.array([[1, 2], [1, 4]]) / length, atol=1e-6)
    restored = mean.restored(mean.transform(vectors))
    assert restored is not None
    assert np.allclose(restored, [[2, 2, 2, 2], [2, 2, 4, 4]], atol=1e-5)


def test_pca_gives_back_what_lies_in_its_plane() -> None:
    random = np.random.default_rng(2)
    flat = (random.standard_normal((80, 3)) @ random.standard_normal((3, 20)) + 1.0).astype(np.float32)
    compressor = fit(PcaSettings(), flat, width=3)
    restored = compressor.restored(compressor.transform(flat))
    assert restored is not None
    assert np.allclose(restored, flat, atol=1e-4)
    wide = fit(PcaSettings(), flat[:5], width=10).transform(flat[:5])
    assert not wide[:, 5:].any(), "five vectors fill no more axes"


def test_an_autoencoder_bends_where_a_plane_cannot() -> None:
    """Four hidden numbers fit into four; PCA needs ten axes for what they bend into."""
    known, held = curved(4000), curved(800, seed=2)
    own = {}
    for settings in (PcaSettings(), AutoencoderSettings(hidden=128)):
        own[settings.kind] = fidelity(fit(settings, known, width=4), known, held)["own"]
    assert (own["autoencoder"] or 0.0) > (own["pca"] or 0.0) + 0.1


def test_an_autoencoder_is_never_left_worse_than_where_it_began() -> None:
    """Noise without any shape: what training finds does not hold, and the principal axes stay."""
    noise = np.random.default_rng(3).standard_normal((60, 30)).astype(np.float32)
    settings = AutoencoderSettings(hidden=16, epochs=4, learning_rate=1.0)
    plane = fit(PcaSettings(), noise, width=4).transform(noise)
    assert np.allclose(fit(settings, noise, width=4).transform(noise), plane, atol=1e-5)


def test_two_seeds_differ() -> None:
    vectors = curved()
    one, two = (fit(AutoencoderSettings(hidden=16, epochs=2, seed=seed), vectors, width=4) for seed in (1, 2))
    assert not np.array_equal(one.transform(vectors), two.transform(vectors))


def test_what_is_no_compressor_is_named() -> None:
    for content in (b"", b"not one", fit(MeanSettings(), curved(9), width=2).to_bytes()[:-9]):
        with pytest.raises(ContractBroken, match=r"a\.safetensors"):
            Compressor.from_bytes(content, where="a.safetensors")
    with pytest.raises(UsageError, match="autoencoder"):
        compressor_settings({"kind": "autoencode"})
