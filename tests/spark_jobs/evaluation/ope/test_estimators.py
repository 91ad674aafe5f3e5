"""Off-policy estimators: tiny cases by hand, identities that must hold, and truth covered as often as promised."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segments.errors import Refused
from spark_jobs.evaluation.ope.estimate import Judge
from spark_jobs.evaluation.ope.registry import ESTIMATORS, Estimator
from spark_jobs.evaluation.ope.rounds import Rounds
from tests.contracts.estimator import EstimatorContract, value_of
from tests.spark_jobs.evaluation.ope.worlds import Late, Leaving, Moving, World, some

# two requests of two places
HAND = Rounds(
    request=np.array([0, 0, 1, 1]),
    reward=np.array([1.0, 0.0, 0.0, 2.0]),
    weight=np.array([2.0, 0.5, 1.0, 3.0]),
    predicted=np.array([0.5, 0.5, 0.5, 1.0]),
    expected=np.array([0.25, 0.5, 0.75, 1.0]),
    chance=np.array([0.4, 0.1, 0.25, 0.25]),
    cell=np.array([0, 1, 0, 1]),
)


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"dm"}))
class TestRegistered(EstimatorContract):
    @pytest.fixture
    def estimator(self, name: str) -> Estimator:
        return ESTIMATORS[name]


class TestDirectMethod(EstimatorContract):
    looks = False

    @pytest.fixture
    def estimator(self) -> Estimator:
        return ESTIMATORS["dm"]


def value(name: str, rounds: Rounds, threshold: float = np.inf) -> float:
    return value_of(ESTIMATORS[name], rounds, threshold)


@pytest.mark.parametrize(
    ("name", "threshold", "wanted"),
    [
        ("ipw", np.inf, (2 + 6) / 2),
        ("ipw-clipped", 1.5, (1.5 + 3) / 2),
        ("snipw", np.inf, (2 + 6) / (2.5 / 2 + 4 / 2)),
        ("mips", np.inf, (1.5 * 1 + 1.75 * 2) / 2),
        ("replay", np.inf, (0.4 + 0.5) / 0.5),
        ("iips", np.inf, (2 + 6) / 2),
        ("rips", np.inf, (2 * 1 + 1 * 0 + 1 * 0 + 3 * 2) / 2),
        ("ips", np.inf, (1 * 1 + 3 * 2) / 2),
        # second places are worth (0.5 + 1) / 2 on average
        ("cascade-dr", np.inf, (1.0 + 2 * (0.5 - 0.75) + 2 * 0.5 - 0.5 + 1.5 - 0.5 - 0.75 + 1.0 + 3.0) / 2),
        ("dm", np.inf, 2.5 / 2),
        ("dr", np.inf, (2.5 + 2 * 0.5 - 0.5 * 0.5 - 0.5 + 3) / 2),
        ("sndr", np.inf, 2.5 / 2 + 3.25 / 3.25),
        ("switch-dr", 2.0, (2.5 + 1 - 0.25 - 0.5) / 2),
        ("switch-dr", 0.0, 2.5 / 2),
        ("dr-os", 1.0, (2.5 + 0.4 * 0.5 - 0.4 * 0.5 - 0.5 * 0.5 + 0.3 * 1) / 2),
    ],
)
def test_by_hand(name: str, threshold: float, wanted: float) -> None:
    assert value(name, HAND, threshold) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in {"dm", "replay"}])
@pytest.mark.parametrize("places", [1, 3])
def test_judging_the_logging_policy_gives_what_it_earned(name: str, places: int) -> None:
    world = World(places=places)
    drawn = world.draw(600, seed=1)
    got = value(name, world.rounds(drawn, world.logging, np.zeros_like(world.rate)))
    assert got == pytest.approx(drawn["reward"].sum() / 600, abs=1e-12)


def _coverage(
    world: World, name: str, *, clusters: int | None, by: int | None, runs: int = 400, requests: int = 600
) -> float:
    """Share of logs whose interval holds the truth, resampled by `by` clusters (None: by request); wrong model."""
    truth, held = world.value(world.target), 0
    model = np.full_like(world.rate, 0.9)
    cluster = np.arange(requests) % (by or requests)
    for seed in range(runs):
        drawn = world.draw(requests, seed, clusters=clusters)
        judge = Judge(world.rounds(drawn, world.target, model), cluster, draws=200, seed=seed)
        got = judge.estimate(name).interval
        held += got.low <= truth <= got.high
    return held / runs


@pytest.mark.parametrize(("name", "places"), [("ipw", 1), ("snipw", 1), ("dr", 1), ("sndr", 1), ("iips", 2)])
def test_intervals_cover_the_truth(name: str, places: int) -> None:
    """95 % give or take what 400 runs leave open; benchmarks/ope.py does it in 2,000."""
    assert 0.92 <= _coverage(World(places=places, seed=3), name, clusters=None, by=60) <= 0.975


@pytest.mark.parametrize("name", ["rips", "ips", "cascade-dr"])
def test_products_of_weights_are_covered_in_longer_logs(name: str) -> None:
    assert 0.92 <= _coverage(World(places=2, seed=3), name, clusters=None, by=60, requests=3000) <= 0.975


def test_requests_that_share_a_draw_are_one_cluster() -> None:
    """Six requests see one list: intervals by cluster hold, intervals by request are far too narrow."""
    world = World(seed=3)
    assert _coverage(world, "ipw", clusters=100, by=100, runs=200) >= 0.9
    assert _coverage(world, "ipw", clusters=100, by=None, runs=200) < 0.85


@pytest.mark.parametrize("name", ["ipw", "dr", "sndr", "switch-dr", "dr-os"])
def test_the_mean_over_many_logs_is_the_truth(name: str) -> None:
    """Weights below every threshold, a wrong model: without clipping there is no bias."""
    world = World(seed=5)
    wrong_model = np.full_like(world.rate, 0.9)
    got = [value(name, world.rounds(world.draw(600, seed), world.target, wrong_model)) for seed in range(400)]
    noise = float(np.std(got)) / 20
    assert abs(np.mean(got) - world.value(world.target)) < 4 * noise


@pytest.mark.parametrize("name", ["rips", "ips"])
def test_lists_whose_rewards_depend_on_each_other(name: str) -> None:
    """Clicks at the second place need a good first item: `iips` is wrong there, `rips` and `ips` are not."""
    random = np.random.default_rng(9)
    n = 200_000
    good = random.random((n, 2)) < np.array([0.3, 0.5])
    reward = np.c_[np.zeros(n), (good[:, 0] & good[:, 1]).astype(float)]
    chance = np.where(good, [0.8, 0.9], [0.2, 0.1]) / np.where(good, [0.3, 0.5], [0.7, 0.5])
    zero = np.zeros(2 * n)
    rounds = Rounds(np.repeat(np.arange(n), 2), reward.ravel(), chance.ravel(), zero, zero)
    assert value(name, rounds) == pytest.approx(0.8 * 0.9, abs=0.02)
    assert value("iips", rounds) == pytest.approx(0.3 * 0.9, abs=0.02)


def _errors(name: str, world: World, *, runs: int = 400) -> NDArray[np.float64]:
    """(runs,) estimate less truth over logs of 600 requests; the model knows rates, but of nothing else."""
    truth, model = world.value(world.target), world.rate
    drawn = (world.draw(600, seed) for seed in range(runs))
    return np.array([value(name, world.rounds(each, world.target, model)) - truth for each in drawn])


def _off(errors: NDArray[np.float64]) -> float:
    """Mean error in standard errors."""
    return abs(float(errors.mean())) / float(errors.std()) * float(np.sqrt(errors.size))


def test_items_of_one_kind_share_their_weight() -> None:
    """Twenty items of three kinds: as right as single weights, less noisy."""
    world = World(items=20, kinds=3, segments=10, seed=6)
    marginal, single = _errors("mips", world), _errors("ipw", world)
    assert _off(marginal) < 4
    assert marginal.std() < 0.8 * single.std()


def test_replay_is_right_where_all_is_shown_equally_often() -> None:
    world = World(seed=5)
    skewed = _errors("replay", world)
    world.logging = np.full_like(world.logging, 0.2)
    assert _off(_errors("replay", world)) < 4
    assert _off(skewed) > 8


def test_where_a_click_ends_the_visit_the_places_above_must_be_weighed() -> None:
    world = Leaving(places=3, seed=4)
    world.logging = np.full_like(world.logging, 0.2)
    world.target = world.rate**3 / (world.rate**3).sum(2, keepdims=True)
    errors = {name: _errors(name, world) for name in ("iips", "rips", "ips", "cascade-dr")}
    assert _off(errors["iips"]) > 4
    for name in ("rips", "ips", "cascade-dr"):
        assert _off(errors[name]) < 4, name
    assert errors["cascade-dr"].std() < 0.95 * errors["rips"].std()
    assert errors["rips"].std() < 0.95 * errors["ips"].std()


@pytest.mark.parametrize("name", ["snipw", "dr"])
def test_rewards_that_come_late_are_missed_unless_waited_for(name: str) -> None:
    """Read at once, a log misses what is still to come, for whichever policy; its requests of ten delays ago do not."""
    world = Late(seed=5)
    truth, nothing = world.value(world.target), np.zeros_like(world.rate)
    early, ripe = [], []
    for seed in range(200):
        drawn = world.draw(900, seed)
        early.append(value(name, world.rounds(drawn, world.target, nothing)))
        waited = some(drawn, drawn["age"] > 10 * world.delay)
        ripe.append(value(name, world.rounds(waited, world.target, nothing)))
    assert np.mean(early) == pytest.approx(world.arrived * truth, rel=0.01)
    assert _off(np.array(ripe) - truth) < 4


def test_where_rates_move_an_estimate_is_of_the_days_that_were_logged() -> None:
    world = Moving(seed=5)
    nothing = np.zeros_like(world.rate)
    whole, last = [], []
    for seed in range(200):
        drawn = world.draw(900, seed)
        whole.append(value("snipw", world.rounds(drawn, world.target, nothing)))
        last.append(value("snipw", world.rounds(some(drawn, drawn["day"] > 0.8), world.target, nothing)))
    then, now = world.value(world.target), world.value_between(world.target, 0.8, 1.0)
    assert abs(now - then) > 0.05
    assert np.mean(whole) == pytest.approx(then, abs=0.01)
    assert np.mean(last) == pytest.approx(now, abs=0.015)


@pytest.mark.parametrize(("plain", "clipped"), [("ipw", "ipw-clipped"), ("dr", "switch-dr"), ("dr", "dr-os")])
def test_where_weights_are_heavy_clipping_errs_less(plain: str, clipped: str) -> None:
    """A log that hardly explores: a few weights of hundreds decide, and the data cut them."""
    world = World(items=20, seed=5)
    world.logging = world.logging**2 / (world.logging**2).sum(-1, keepdims=True)
    truth, model = world.value(world.target), np.clip(world.rate + 0.1, 0, 1)
    errors = []
    for seed in range(60):
        rounds = world.rounds(world.draw(600, seed), world.target, model)
        judge = Judge(rounds, np.arange(600), draws=200, seed=seed)
        both = [judge.estimate(name) for name in (plain, clipped)]
        errors.append([(each.interval.value - truth) ** 2 for each in both])
        assert (both[0].largest or 0.0) > 5, "shown"
        assert (both[0].effective or 600.0) < 300, "shown"
    noisy, calm = np.mean(errors, axis=0)
    assert calm < 0.85 * noisy


def test_few_clusters_are_refused() -> None:
    rounds = Rounds(np.arange(58), np.ones(58), np.ones(58), np.ones(58), np.ones(58))
    with pytest.raises(Refused, match="29 clusters"):
        Judge(rounds, np.arange(58) % 29)
    assert Judge(rounds, np.r_[np.arange(57) % 29, 29]).clusters == 30
