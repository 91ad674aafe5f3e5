"""What the intervals of A/B tests are worth: false alarms, peeking, coverage, power, on users who differ and return.

    python benchmarks/ab_tests.py --tests 10000

Each test has 1,000 users who arrive over 14 days and come back; a user's click rate is Beta(2, 18), how often he comes
Gamma distributed; a view shows ten places. Prints one line of JSON a question.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.ab.effect import Cells, effect
from spark_jobs.evaluation.ab.power import Plan
from spark_jobs.evaluation.ab.sequential import always_valid_p

F64 = NDArray[np.float64]
USERS, DAYS, PLACES = 1000, 14, 10


def simulated(generator: np.random.Generator, *, lift: float, users: int = USERS) -> tuple[Cells, F64, F64]:
    """Cells, and clicks and shown places by user and day, summed up to each day."""
    taste = generator.beta(2.0, 18.0, users)
    activity = generator.gamma(0.5, 1.0, users)
    first = generator.integers(0, DAYS, users)
    arm = (generator.random(users) < 0.5).astype(np.int64)
    views = generator.poisson(activity[:, None], (users, DAYS)) * (np.arange(DAYS) >= first[:, None])
    views[np.arange(users), first] += 1
    clicks = generator.binomial(PLACES * views, (taste * (1.0 + lift * arm))[:, None])
    cells = Cells(np.arange(users), np.zeros(users, dtype=np.int64), arm)
    return cells, np.cumsum(clicks, 1).astype(np.float64), np.cumsum(PLACES * views, 1).astype(np.float64)


def looks(cells: Cells, clicks: F64, shown: F64) -> Iterator[tuple[bool, bool, bool]]:
    """At each day's end, whether CTR is said to differ: fixed interval, sequential one; and clicks per user, fixed."""
    for day in range(DAYS):
        there = shown[:, day] > 0
        some = Cells(np.arange(int(there.sum())), cells.epoch[there], cells.arm[there])
        y, x = clicks[there, day], shown[there, day]
        ctr, each = effect(some, y, x, arm=1), effect(some, y, np.ones(y.size), arm=1)
        assert ctr is not None
        assert each is not None
        # the scale of a 10 % effect, as `experiment report --effect 0.1` takes it
        yield ctr.p < 0.05, always_valid_p(ctr.difference, ctr.variance, scale=0.1 * ctr.control) < 0.05, each.p < 0.05


def false_alarms(tests: int, generator: np.random.Generator) -> dict[str, object]:
    """A/A tests looked at after 14 days, and after every one of them."""
    found = np.array([list(looks(*simulated(generator, lift=0.0))) for _ in range(tests)])
    return {
        "question": "A/A tests",
        "tests": tests,
        "ctr_one_look": found[:, -1, 0].mean(),
        "clicks_per_user_one_look": found[:, -1, 2].mean(),
        "ctr_fixed_interval_14_looks": found[:, :, 0].any(1).mean(),
        "ctr_sequential_14_looks": found[:, :, 1].any(1).mean(),
    }


def coverage(tests: int, generator: np.random.Generator) -> dict[str, object]:
    """How often the interval of a ratio metric, whose true difference is known, covers it."""
    inside = np.zeros(2)
    for _ in range(tests):
        cells, clicks, shown = simulated(generator, lift=0.2)
        found = effect(cells, clicks[:, -1], shown[:, -1], arm=1)
        assert found is not None
        absolute, relative = found.interval(), found.relative_interval()
        inside += [absolute.low <= 0.02 <= absolute.high, relative.low <= 0.2 <= relative.high]
    return {
        "question": "95 % intervals of CTR",
        "tests": tests,
        "difference": inside[0] / tests,
        "relative": inside[1] / tests,
    }


def power(tests: int, generator: np.random.Generator) -> dict[str, object]:
    """How often a test of the planned size finds the effect it was planned for."""
    _, clicks, _ = simulated(generator, lift=0.0, users=200_000)
    each = clicks[:, -1]
    plan = Plan(mean=float(each.mean()), deviation=float(each.std()), effect=0.1)
    # tests of twelve times as many users each
    users, tests, found = plan.users(0.8), max(1, tests // 5), 0
    for _ in range(tests):
        cells, clicks, _ = simulated(generator, lift=0.1, users=users)
        result = effect(cells, clicks[:, -1], np.ones(users), arm=1)
        assert result is not None
        found += result.p < 0.05
    return {
        "question": "power of clicks per user, +10 %",
        "users": users,
        "tests": tests,
        "promised": 0.8,
        "found": found / tests,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tests", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    for question in (false_alarms, coverage, power):
        told = question(given.tests, np.random.default_rng(given.seed))
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
