from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.errors import ContractBroken
from spark_jobs.evaluation.auc import auc
from spark_jobs.evaluation.calibration import ece, mean_ratio
from spark_jobs.models.calibration import Calibration, calibrate, honest_chances, recentred


def planted(n: int = 60_000, *, slope: float = 0.5, shift: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of an overconfident network, and labels of the true chance sigmoid(slope·z + shift)."""
    random = np.random.default_rng(2)
    z = random.normal(-2.0, 2.0, n)
    return z, (random.random(n) < 1.0 / (1.0 + np.exp(-(slope * z + shift)))).astype(np.float64)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_the_planted_curve_is_found(method: str) -> None:
    z, y = planted()
    weight = np.ones_like(y)
    found = calibrate(z, y, weight, method=method)  # type: ignore[arg-type]
    chance = found(z)
    assert ece(y, chance) < 0.03 < ece(y, Calibration()(z))
    assert mean_ratio(y, chance) == pytest.approx(1.0, abs=0.01)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.shift == pytest.approx(-1.0, abs=0.05)


def test_sampled_rows_count_for_those_left_out() -> None:
    z, y = planted(200_000)
    random = np.random.default_rng(3)
    kept = (y == 1) | (random.random(len(y)) < 0.1)
    weight = np.where(y[kept] == 1, 1.0, 10.0)
    found = calibrate(z[kept], y[kept], weight)
    assert mean_ratio(y, found(z)) == pytest.approx(1.0, abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["platt", "isotonic"]))
def test_the_order_of_items_is_kept(seed: int, method: str) -> None:
    random = np.random.default_rng(seed)
    z = np.unique(np.round(random.normal(size=400), 4))
    y = (random.random(len(z)) < 0.4).astype(np.float64)
    chance = calibrate(z, y, np.ones_like(y), method=method)(z)  # type: ignore[arg-type]
    assert (np.diff(chance) > 0).all()
    assert ((chance > 0) & (chance < 1)).all()


def test_few_clicks_move_only_the_shift_and_none_nothing() -> None:
    z = np.linspace(-5, -1, 300)
    y = np.zeros(300)
    assert calibrate(z, y, np.ones(300)) == Calibration()
    y[::60] = 1.0
    found = calibrate(z, y, np.ones(300), method="isotonic")
    assert found.slope == 1.0
    assert found(z).mean() == pytest.approx(y.mean(), rel=1e-6)


def test_figures_are_of_users_not_fitted_on() -> None:
    z, y = planted(20_000)
    user = np.arange(20_000) // 40
    # A network that knows each user's labels by heart cannot be flattered: half the users are always held out.
    chances = honest_chances(z, y, np.ones_like(y), user)
    assert mean_ratio(y, chances) == pytest.approx(1.0, abs=0.03)
    assert ece(y, chances) < 0.05
    swapped = np.where(user % 2 == 0, y, 1 - y)
    assert auc(swapped, honest_chances(z, swapped, np.ones_like(y), user)) < 0.6


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_another_network_keeps_the_shape_and_gets_its_own_level(method: str) -> None:
    z, y = planted()
    weight = np.ones_like(y)
    found = calibrate(z, y, weight, method=method)  # type: ignore[arg-type]
    moved = recentred(found, z + 0.7, y, weight)
    assert moved.slope == found.slope
    assert mean_ratio(y, moved(z + 0.7)) == pytest.approx(1.0, abs=1e-6)
    assert moved(z + 0.7) == pytest.approx(found(z), abs=0.01)
    assert recentred(found, z, np.zeros_like(y), weight) == found


def test_dictionary_and_back() -> None:
    z, y = planted(5000)
    for method in ("platt", "isotonic"):
        found = calibrate(z, y, np.ones_like(y), method=method)  # type: ignore[arg-type]
        assert Calibration.of(found.to_dict()) == found
    with pytest.raises(ContractBroken, match="calibration"):
        Calibration.of({"slope": "steep"})
