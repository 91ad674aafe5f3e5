"""What every compressor of content vectors keeps: enrol one by a subclass with its settings."""

from __future__ import annotations

import numpy as np
import pytest

from segments.errors import ContractBroken, Refused
from spark_jobs.vectors.compressor import Compressor, fit
from spark_jobs.vectors.fidelity import fidelity
from spark_jobs.vectors.method import Floats
from spark_jobs.vectors.settings import CompressorSettings

WIDTH = 8


def curved(n: int = 600, *, width: int = 48, seed: int = 1) -> Floats:
    """Unit vectors of four hidden numbers that bend: linear maps of them and of their squares, and some noise."""
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((n, 4))
    told = np.concatenate([hidden, hidden**2 - 1.0, hidden[:, :2] * hidden[:, 2:]], axis=1)
    ways = np.random.default_rng(99).standard_normal((told.shape[1], width))
    vectors = told @ ways + 0.1 * random.standard_normal((n, width)) + 2.0
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


class CompressorContract:
    """A subclass sets `SETTINGS`, and the least share of held-out vectors that a linear map of its codes gives back."""

    SETTINGS: CompressorSettings
    LEAST = 0.0

    @pytest.fixture
    def fitted(self) -> Compressor:
        return fit(self.SETTINGS, curved(), width=WIDTH)

    def test_codes_are_short_centred_and_of_unit_length(self, fitted: Compressor) -> None:
        codes = fitted.transform(curved())
        assert (fitted.inputs, fitted.width) == (48, WIDTH)
        assert codes.shape == (600, WIDTH)
        assert codes.dtype == np.float32
        assert np.abs(codes.mean(axis=0)).max() < 1e-3
        assert np.square(codes).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-3)

    def test_held_out_vectors_are_told(self, fitted: Compressor) -> None:
        told = fidelity(fitted, curved(), curved(300, seed=2))
        assert (told["explained"] or 0.0) > self.LEAST
        assert (told["neighbours"] or 0.0) > 0.1, "chance is 0.03"

    def test_one_seed_repeats_whatever_the_order_and_copies(self, fitted: Compressor) -> None:
        order = np.random.default_rng(3).permutation(600)
        again = fit(self.SETTINGS, np.concatenate([curved()[order], curved()[:50]]), width=WIDTH)
        assert np.array_equal(again.transform(curved(40, seed=5)), fitted.transform(curved(40, seed=5)))

    def test_save_load_transform_is_the_same(self, fitted: Compressor) -> None:
        again = Compressor.from_bytes(fitted.to_bytes())
        assert again.settings == fitted.settings
        vectors = curved(40, seed=5)
        codes = fitted.transform(vectors)
        assert np.array_equal(again.transform(vectors), codes)
        mine, theirs = fitted.restored(codes), again.restored(codes)
        assert (mine is None) == (theirs is None)
        assert mine is None or np.array_equal(mine, theirs)

    def test_a_row_does_not_depend_on_the_others(self, fitted: Compressor) -> None:
        vectors = curved(30, seed=6)
        assert np.allclose(fitted.transform(vectors[7:8]), fitted.transform(vectors)[7:8], rtol=0.0, atol=1e-5)
        assert fitted.transform(vectors[:0]).shape == (0, WIDTH)

    def test_missing_vectors_are_zeros_and_missing_numbers_the_middle(self, fitted: Compressor) -> None:
        vectors = curved(4, seed=7)
        vectors[0] = np.nan
        vectors[1, 5], vectors[2, 5], vectors[3, 5] = np.nan, np.inf, -np.inf
        codes = fitted.transform(vectors)
        assert not codes[0].any()
        vectors[1:, 5] = fitted.vectors.middle[5]
        assert np.array_equal(codes[1:], fitted.transform(vectors)[1:])

    def test_gaps_constant_columns_and_copies_are_learnt_from_without_harm(self) -> None:
        odd = curved(120)
        odd[:, 3] = 7.5
        odd[::7, 10] = np.nan
        odd[5] = np.nan
        assert np.isfinite(fit(self.SETTINGS, odd, width=WIDTH).transform(odd)).all()

    def test_wrong_widths_and_nothing_to_learn_from_are_refused(self, fitted: Compressor) -> None:
        with pytest.raises(ContractBroken, match="48 numbers"):
            fitted.transform(curved(3, width=47))
        with pytest.raises(Refused, match="cannot be compressed to 49"):
            fit(self.SETTINGS, curved(), width=49)
        with pytest.raises(Refused, match="no vectors"):
            fit(self.SETTINGS, np.full((3, 48), np.nan, dtype=np.float32), width=WIDTH)
