"""What bandits lose while they learn, and what they cost, beside mabwiser.

    PYTHONPATH=. python benchmarks/bandits.py regret --lists 100
    PYTHONPATH=. python benchmarks/bandits.py theory --lists 200 --rounds 10000
    PYTHONPATH=. python benchmarks/bandits.py peers --lists 20 --rounds 1000 --peers-python mab/bin/python
    PYTHONPATH=. python benchmarks/bandits.py agree --peers-python mab/bin/python
    PYTHONPATH=. python benchmarks/bandits.py large --arms 1000000 --segments 30 --peers-python mab/bin/python

The shop of `regret` is the tests': many independent lists, whose spread gives the intervals. `peers` is the textbook's
game, one arm a round and its reward at once, with the same arms for both.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.hashing import stir
from spark_jobs.bandits.contract import Bandit, Belief
from spark_jobs.bandits.finals import explore_lists, ranks
from spark_jobs.bandits.keys import draw_uniforms
from spark_jobs.bandits.linear import Regression
from spark_jobs.bandits.quota import Quota
from spark_jobs.bandits.registry import BANDITS, bandit
from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.evaluation.seeds import mean_interval
from tests.spark_jobs.bandits.shop import Shop

NIGHTS = 60
SHOPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "still": ({}, {}),
    "drift, all evidence": ({"drift": 0.02}, {}),
    "drift, half-life 20": ({"drift": 0.02}, {"half_life": 20.0}),
    "delay, not known": ({"delay": 3.0}, {"knows_delay": False}),
    "delay, known": ({"delay": 3.0}, {}),
    "places, not known": ({"position_decay": 0.7}, {"knows_places": False}),
    "places, known": ({"position_decay": 0.7}, {}),
    "brands": ({"brands": 10}, {}),
}
BERNOULLI = {"two arms, 0.9 and 0.8": [0.9, 0.8], "ten arms, 0.1 and nine of 0.05": [0.1] + [0.05] * 9}
PEERS = ("thompson", "ucb1", "epsilon-greedy")


def regret(lists: int) -> dict[str, Any]:
    """Clicks lost to the best pages in 60 nights of 100 visits, in per cent of what chance loses: mean, low, high."""
    found: dict[str, Any] = {}
    for name in BANDITS:
        found[name] = {}
        for shop, (traits, told) in SHOPS.items():
            if name.startswith("lin") and "brands" not in traits:
                continue
            world = {"lists": lists, "seed": 11, **traits}
            lost = Shop(**world).regret(bandit(name, ExploreSettings()), nights=NIGHTS, **told)
            nothing = Shop(**world).regret(_Worst(), nights=NIGHTS, **told)
            found[name][shop] = {
                span: _told(100.0 * lost[nights].sum(axis=0) / nothing[nights].sum(axis=0).mean())
                for span, nights in (("all nights", slice(None)), ("last 10", slice(-10, None)))
            }
    return found


class _Worst(Bandit):
    """Sorts by chance every night: what is lost without learning anything."""

    def draw(self, belief: Belief, uniform: NDArray[np.float64], *, lists: NDArray[np.int64]) -> NDArray[np.float64]:
        return uniform


def peers(lists: int, rounds: int, python: str) -> dict[str, Any]:
    """Regret after all rounds, one arm a round, 10 arms: mean, low, high."""
    rate = np.random.default_rng(3).beta(2.0, 8.0, (lists, 10))
    theirs = _peer(python, "regret", {"rate": rate.tolist(), "rounds": rounds, "policies": PEERS})
    found: dict[str, Any] = {}
    for name in (*PEERS, "ucb-tuned", "kl-ucb"):
        found[name] = {"ours": _told(_played(bandit(name, ExploreSettings()), rate, rounds)[-1])}
        if name in theirs:
            found[name]["mabwiser"] = _told(np.array(theirs[name]))
    return found


def theory(lists: int, rounds: int) -> dict[str, Any]:
    """Regret at rounds 100, 1,000 …, and its growth per ln(round) over the last nine tenths of the rounds.

    No bandit that learns whatever the rates are can keep that growth below Σ gap / d(rate, best) (Lai and Robbins,
    Advances in Applied Mathematics 6, 1985), d being the Kullback-Leibler divergence.
    """
    found: dict[str, Any] = {}
    for world, rates in BERNOULLI.items():
        rate, best = np.array(rates), max(rates)
        worse = rate[rate < best]
        apart = worse * np.log(worse / best) + (1 - worse) * np.log((1 - worse) / (1 - best))
        found[world] = {"Lai and Robbins": round(float(((best - worse) / apart).sum()), 2)}
        for name in [name for name in BANDITS if not name.startswith("lin")]:
            lost = _played(bandit(name, ExploreSettings()), np.tile(rate, (lists, 1)), rounds)
            at = [10**k for k in range(2, 10) if 10**k <= rounds]
            found[world][name] = {
                "slope": _told((lost[-1] - lost[rounds // 10]) / np.log(10.0)),
                "regret": {played: _told(lost[played - 1]) for played in at},
            }
    return found


def _played(chosen: Bandit, rate: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
    """(rounds, lists) regret up to each round."""
    random = np.random.default_rng(5)
    count, arms = rate.shape
    lists = np.repeat(np.arange(count), arms)
    # Upper bounds begin with every arm once; the others with mabwiser's Beta(1, 1).
    shown, clicks, lost = np.zeros(rate.size), np.zeros(rate.size), np.zeros((rounds, count))
    prior, strength = (0.5, 2.0) if chosen.random else (0.5, 1e-3)
    for played in range(rounds):
        belief = Belief.of(np.full(rate.size, prior), strength, impressions=shown, clicks=clicks)
        drawn = chosen.draw(belief, random.random(rate.size), lists=lists).reshape(count, arms)
        drawn = drawn + 1e-12 * random.random(drawn.shape)
        if not chosen.random:
            drawn = np.where(shown.reshape(count, arms) == 0, np.inf, drawn)
        arm = drawn.argmax(axis=1)
        lost[played] = rate.max(axis=1) - rate[np.arange(count), arm]
        at = np.arange(count) * arms + arm
        shown[at] += 1
        clicks[at] += random.random(count) < rate[np.arange(count), arm]
    return np.asarray(lost.cumsum(axis=0))


def agree(python: str) -> dict[str, Any]:
    """Largest differences to mabwiser where it is right, and what it does where it is not."""
    random = np.random.default_rng(2)
    arm, reward = random.integers(0, 5, 400), (random.random(400) < 0.3).astype(float)
    features, target = random.normal(size=(60, 4)), random.normal(size=60)
    asked = random.normal(size=(20, 4))
    told = {"arm": arm.tolist(), "reward": reward.tolist(), "features": features.tolist(), "target": target.tolist(),
            "asked": asked.tolist(), "strengths": [1.0, 10.0, 100.0]}  # fmt: skip
    theirs = _peer(python, "agree", told)
    shown, clicks = np.bincount(arm, minlength=5).astype(float), np.bincount(arm, reward, minlength=5)
    one = np.zeros(5, dtype=np.int64)
    rates = Belief(clicks / shown, shown)
    ucb1 = bandit("ucb1", ExploreSettings()).draw(rates, np.full(5, 0.5), lists=one)
    posterior = Belief.of(np.full(5, 0.5), 2.0, impressions=shown, clicks=clicks)
    draws = bandit("thompson", ExploreSettings()).replicates(posterior, random, lists=one, count=20_000)
    found: dict[str, Any] = {
        "ucb1, largest difference": float(np.abs(ucb1 - theirs["ucb1"]).max()),
        "thompson, difference of means in standard errors": float(
            np.abs((draws.mean(0) - theirs["thompson mean"]) / (posterior.deviation * np.sqrt(2 / 20_000))).max()
        ),
        "ucb1 of an arm never shown, mabwiser": theirs["ucb1 unseen"],
        "rounds of 500 in which it is then chosen, mabwiser": theirs["ucb1 unseen chosen"],
    }
    for strength in told["strengths"]:
        prior = Regression.prior(4, strength, shared=1.0)
        mean, variance = prior.seen(features, target, np.ones(60)).told(asked)
        there = theirs["linear"][str(strength)]
        found[f"linucb, prior {strength:g}, largest difference"] = float(
            np.abs(mean + np.sqrt(variance) - there["linucb"]).max()
        )
        found[f"lints, prior {strength:g}, deviations over ours"] = float(
            (np.array(there["lints deviation"]) / np.sqrt(variance)).mean()
        )
        cold = prior.told(asked)[1]
        found[f"cold variance over the right one, prior {strength:g}"] = {
            "ours": float((cold / (np.square(asked).sum(1) / strength)).mean()),
            "mabwiser": float((np.array(there["cold bonus"]) ** 2 / (np.square(asked).sum(1) / strength)).mean()),
        }
    return found


def large(arms: int, segments: int, python: str) -> dict[str, Any]:
    """Processor seconds an arm to draw and to rank, segments one after the other as a night does them."""
    random = np.random.default_rng(1)
    items = stir(np.arange(arms, dtype=np.uint64))
    lists = random.integers(0, 200, arms)
    shown, seen = random.gamma(0.5, 2000.0, arms).round(), random.random(arms) < 0.02
    found: dict[str, Any] = {"arms": arms, "segments": segments}
    # Its epsilon-greedy copies a dictionary: there is no number to draw.
    theirs = _peer(python, "speed", {"arms": 20_000, "policies": PEERS[:2]})
    for name in [name for name in BANDITS if not name.startswith("lin")]:
        chosen, spent = bandit(name, ExploreSettings()), {"draw": 0.0, "rank": 0.0}
        turns = segments if name == "thompson" else min(2, segments)
        for segment in range(turns):
            prior = random.beta(4.0, 60.0, arms)
            belief = Belief.of(prior, 2000.0, impressions=shown, clicks=random.binomial(shown.astype(int), prior) * 1.0)
            started = time.process_time()
            drawn = chosen.draw(belief, draw_uniforms("2026-W48", "B", str(segment), items), lists=lists)
            spent["draw"] += time.process_time() - started
            started = time.process_time()
            final, _, after = explore_lists(drawn, lists, seen, quota=Quota(50, 0.1))
            ranks(final, lists, guess=after)
            spent["rank"] += time.process_time() - started
        each = {step: 1e6 * seconds / arms / turns for step, seconds in spent.items()}
        found[name] = {f"microseconds an arm, {step}": round(value, 3) for step, value in each.items()}
        if name in theirs:
            found[name] |= {
                "microseconds an arm, mabwiser": round(theirs[name], 3),
                "mabwiser over ours, draw": round(theirs[name] / each["draw"], 1),
                "mabwiser over ours, draw and rank": round(theirs[name] / (each["draw"] + each["rank"]), 1),
            }
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def _peer(python: str, part: str, told: dict[str, Any]) -> dict[str, Any]:
    script = Path(__file__).with_name("bandits_peer.py")
    run = subprocess.run(
        [python, str(script), part], input=json.dumps(told), capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def _told(values: NDArray[np.float64]) -> list[float]:
    interval = mean_interval(values.tolist())
    return [round(each, 2) for each in (interval.value, interval.low, interval.high)]


def main() -> None:
    """Reads the command line, runs one part, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["regret", "theory", "peers", "agree", "large"])
    parser.add_argument("--lists", type=int, default=20, help="independent worlds")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--arms", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=30)
    parser.add_argument("--peers-python", default="python")
    chosen = parser.parse_args()
    found = {
        "regret": lambda: regret(chosen.lists),
        "theory": lambda: theory(chosen.lists, chosen.rounds),
        "peers": lambda: peers(chosen.lists, chosen.rounds, chosen.peers_python),
        "agree": lambda: agree(chosen.peers_python),
        "large": lambda: large(chosen.arms, chosen.segments, chosen.peers_python),
    }[chosen.part]()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
