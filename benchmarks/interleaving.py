"""How many users it takes to tell two rankings apart: side by side in buckets, or interleaved in one list.

    PYTHONPATH=. python benchmarks/interleaving.py --tests 1000

Fifty worlds of forty lists of fifty items, two rankings of each; the second knows more of the items' true click rates.
For false alarms every list is there twice, the rankings changed about, so that neither is better. Users differ in how
much they click (gamma) and come one to several times; place r is looked at with r^-0.5 and a page shows twelve. All
designs see the same worlds; p < 0.05 with the better one ahead counts as found. Prints one line of JSON a question.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.teams import team_draft
from spark_jobs.evaluation.ab.effect import Cells, effect
from spark_jobs.evaluation.ab.preference import preference

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
WORLDS, LISTS, ITEMS, PAGE, COINS = 50, 40, 50, 12, 16


@dataclass(frozen=True)
class World:
    """Rates (lists, items); pages of A and B (2, lists, places); drafts and their teams (lists, coins, places), where a
    team is 0, 1, or -1 for nobody; `plain` gives nobody's picks to whom a coin says, as Radlinski et al. do."""

    rates: F64
    pages: I64
    drafts: I64
    teams: I64
    plain: I64


def world(generator: np.random.Generator, *, gain: float) -> World:
    rates = generator.beta(2.0, 18.0, (LISTS, ITEMS))
    noise = generator.normal(0.0, 0.06, (2, LISTS, ITEMS))
    if not gain:
        rates[1::2], noise[:, 1::2] = rates[::2], noise[::-1, ::2]
    orders = np.stack([np.argsort(-(rates + each), axis=1) for each in (noise[0], noise[1] * (1.0 - gain))])
    drafts = np.zeros((LISTS, COINS, PAGE), dtype=np.int64)
    teams = np.zeros_like(drafts)
    for one in range(LISTS):
        first, second = orders[0, one].tolist(), orders[1, one].tolist()
        for coin in range(COINS):
            drafted = team_draft(first, second, seed=one * COINS + coin)[:PAGE]
            drafts[one, coin] = [item for item, _ in drafted]
            teams[one, coin] = [-1 if team is None else team for _, team in drafted]
    plain = np.where(teams < 0, generator.integers(0, 2, teams.shape), teams)
    return World(rates, orders[:, :, :PAGE], drafts, teams, plain)


def visits(generator: np.random.Generator, users: int) -> tuple[I64, F64, I64]:
    """Of each visit its user, how eagerly he clicks, and the list he asks for."""
    user = np.repeat(np.arange(users), 1 + generator.poisson(generator.gamma(1.0, 2.0, users)))
    return user, generator.gamma(2.0, 0.5, users)[user], generator.integers(0, LISTS, user.size)


def clicks(generator: np.random.Generator, rates: F64, eager: F64) -> NDArray[np.bool_]:
    looked = np.arange(1, PAGE + 1) ** -0.5
    return generator.random(rates.shape) < np.minimum(1.0, eager[:, None] * rates * looked)


def buckets(generator: np.random.Generator, here: World, users: int) -> tuple[float, float]:
    """p of CTR's difference, and the difference."""
    user, eager, asked = visits(generator, users)
    arm = generator.integers(0, 2, users)
    page = here.pages[arm[user], asked]
    clicked = clicks(generator, here.rates[asked[:, None], page], eager).sum(1)
    cells = Cells(np.arange(users), np.zeros(users, dtype=np.int64), arm)
    shown = np.bincount(user, minlength=users) * float(PAGE)
    found = effect(cells, np.bincount(user, clicked, users), shown, arm=1)
    assert found is not None
    return found.p, found.difference


def interleaved(generator: np.random.Generator, here: World, users: int, *, plain: bool) -> tuple[float, float]:
    """p of the share of the second's picks, and how far from a half it is."""
    user, eager, asked = visits(generator, users)
    coin = generator.integers(0, COINS, user.size)
    clicked = clicks(generator, here.rates[asked[:, None], here.drafts[asked, coin]], eager)
    teams = (here.plain if plain else here.teams)[asked, coin]
    found = preference(user, *((clicked & (teams == team)).sum(1).astype(np.float64) for team in (0, 1)))
    return (1.0, 0.0) if found is None else (found.p, found.share - 0.5)


def found_share(design: str, worlds: list[World], *, better: bool, users: int, tests: int) -> float:
    """How often p < 0.05 with the better one ahead; where none is better, with either ahead."""
    generator = np.random.default_rng([3, users])
    found = 0
    for test in range(tests):
        here = worlds[test % WORLDS]
        if design == "buckets":
            p, ahead = buckets(generator, here, users)
        else:
            p, ahead = interleaved(generator, here, users, plain=design == "plain")
        found += p < 0.05 and (ahead > 0 or not better)
    return found / tests


def lift(worlds: list[World]) -> float:
    """CTR of the second ranking over the first's, less 1, by the true rates."""
    looked = np.arange(1, PAGE + 1) ** -0.5
    rates = [[(np.take_along_axis(one.rates, page, axis=1) * looked).sum() for page in one.pages] for one in worlds]
    first, second = np.array(rates).mean(0)
    return float(second / first - 1.0)


def main() -> None:
    """Prints the answers."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--tests", type=int, default=1000)
    tests = flags.parse_args().tests
    designs = ("buckets", "interleaved", "plain")
    even = [world(np.random.default_rng([1, number]), gain=0.0) for number in range(WORLDS)]
    alarms = {name: found_share(name, even, better=False, users=500, tests=tests) for name in designs}
    print(json.dumps({"question": "false alarms", "users": 500, **alarms}), flush=True)
    for gain in (0.15, 0.3):
        worlds = [world(np.random.default_rng([2, number]), gain=gain) for number in range(WORLDS)]
        print(json.dumps({"question": "power", "lift of CTR": round(lift(worlds), 4)}), flush=True)
        for name in designs:
            power: dict[int, float] = {}
            users = 50
            while not power or (max(power.values()) < 0.8 and users <= 60_000):
                power[users] = found_share(name, worlds, better=True, users=users, tests=max(WORLDS, tests // 5))
                users *= 2
            print(json.dumps({"design": name, "power by users": power}), flush=True)


if __name__ == "__main__":
    main()
