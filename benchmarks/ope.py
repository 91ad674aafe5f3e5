"""What off-policy estimates are worth: coverage, error beside obp 0.4.1, and the cost of a large log.

    PYTHONPATH=. python benchmarks/ope.py coverage --runs 2000 --requests 3000
    PYTHONPATH=. python benchmarks/ope.py peers --runs 200 --peers-python obp/bin/python
    PYTHONPATH=. python benchmarks/ope.py slates --runs 100 --peers-python obp/bin/python
    PYTHONPATH=. python benchmarks/ope.py large --rounds 1000000 --actions 80

The worlds are the tests', that of `slates` is obp's own. Peers get the same logs, in `peers` the same reward model as
well: true rates seen through noise.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.evaluation.ope.estimate import Judge
from spark_jobs.evaluation.ope.registry import ESTIMATORS
from spark_jobs.evaluation.ope.reward_model import RewardModel
from spark_jobs.evaluation.ope.rounds import F64, I64, Rounds
from tests.contracts.estimator import value_of
from tests.spark_jobs.evaluation.ope.worlds import Leaving, Moving, World

SLOT = ("ipw", "ipw-clipped", "snipw", "dm", "dr", "sndr", "switch-dr", "dr-os")
LISTS = ("iips", "rips", "ips", "cascade-dr", "snipw", "dr", "sndr")
REQUESTS = 600


def coverage(runs: int, requests: int) -> dict[str, Any]:
    """Share of logs whose 95 % interval holds the truth; 60 clusters, a model that is always wrong."""
    found: dict[str, Any] = {}
    worlds: dict[str, tuple[World, tuple[str, ...]]] = {
        "slots": (World(seed=3), SLOT),
        "kinds": (World(items=20, kinds=3, seed=3), ("mips",)),
        "lists": (World(places=2, seed=3), LISTS),
        "users leave after clicks": (Leaving(places=2, seed=3), ("iips", "rips", "ips", "cascade-dr")),
        "rates move": (Moving(seed=3), ("ipw", "snipw", "dr")),
    }
    for kind, (world, names) in worlds.items():
        truth, model = world.value(world.target), np.full_like(world.rate, 0.9)
        held = dict.fromkeys(names, 0)
        for seed in range(runs):
            rounds = world.rounds(world.draw(requests, seed), world.target, model)
            judge = Judge(rounds, np.arange(requests) % 60, draws=400, seed=seed)
            for name in names:
                got = judge.estimate(name).interval
                held[name] += got.low <= truth <= got.high
        found[kind] = {name: round(count / runs, 4) for name, count in held.items()}
    return found


def peers(runs: int, python: str) -> dict[str, Any]:
    """Mean relative error |estimate - truth| / truth over logs of 600 requests and 20 items; obp at its defaults."""
    world = World(items=20, seed=5)
    truth = world.value(world.target)
    model = np.clip(world.rate + np.random.default_rng(1).normal(0.05, 0.1, world.rate.shape), 0, 1)
    logs: dict[str, Any] = {"runs": runs}
    ours: list[dict[str, float]] = []
    for k in range(runs):
        drawn = world.draw(REQUESTS, k)
        judge = Judge(world.rounds(drawn, world.target, model), np.arange(REQUESTS), draws=200, seed=k)
        ours.append({name: judge.estimate(name).interval.value for name in SLOT})
        segment = drawn["segment"]
        logs |= {f"reward_{k}": drawn["reward"][:, 0], f"action_{k}": drawn["item"][:, 0],
                 f"pscore_{k}": drawn["propensity"][:, 0], f"action_dist_{k}": world.target[segment, 0],
                 f"model_{k}": model[segment, 0]}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.npz"
        np.savez(path, **logs)
        theirs = _peer(python, "slots", str(path))
    return {"ours": _relative_error(ours, truth), "obp": _relative_error(theirs, truth)}


def slates(runs: int, python: str) -> dict[str, Any]:
    """The same over logs of 1,000 lists of three of eight items in obp's own world, where a click may end the visit.

    Ours has a model besides, of items and places alone, fitted on each log: for `cascade-dr`, which obp 0.4.1 lacks.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slates.npz"
        theirs = _peer(python, "slates", str(path), str(runs))
        logs = dict(np.load(path))
    ours: list[dict[str, float]] = []
    for k in range(runs):
        given_above = logs[f"cascade_{k}"]
        given_above[:, 1:] /= given_above[:, :-1].copy()
        weights = {"iips": logs[f"place_{k}"]} | dict.fromkeys(("rips", "ips", "cascade-dr"), given_above)
        log = logs[f"action_{k}"], logs[f"reward_{k}"].astype(np.float64)
        ours.append(
            {name: value_of(ESTIMATORS[name], _slates(*log, weight, logs["score"])) for name, weight in weights.items()}
        )
    truth = float(logs["truth"])
    return {"ours": _relative_error(ours, truth), "obp": _relative_error(theirs, truth)}


def _slates(action: I64, reward: F64, weight: F64, score: F64) -> Rounds:
    """The arrays of lists without repeats, for a policy that draws by softmax of the score among what is left."""
    lists, places = action.shape
    request, place = (each.ravel() for each in np.indices(action.shape))
    items, fold = score.size, request % 5
    model = RewardModel((place, place * items + action.ravel()), fold, reward.ravel())
    every = np.tile(np.arange(items), (request.size, 1))
    worth = model.predict(
        (np.repeat(place, items), (place[:, None] * items + every).ravel()), np.repeat(fold, items)
    ).reshape(every.shape)
    left = np.ones((lists, places, items), dtype=bool)
    for below in range(1, places):
        left[:, below] = left[:, below - 1]
        left[np.arange(lists), below, action[:, below - 1]] = False
    chance = np.exp(score) * left.reshape(every.shape)
    chance /= chance.sum(1, keepdims=True)
    own = worth[np.arange(request.size), action.ravel()]
    return Rounds(request, reward.ravel(), weight.ravel(), own, (chance * worth).sum(1))


def _peer(python: str, *arguments: str) -> list[dict[str, float]]:
    """obp's estimates of every log."""
    command = [python, str(Path(__file__).with_name("ope_peer.py")), *arguments]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return [json.loads(line) for line in told.splitlines()]


def _relative_error(answers: list[dict[str, float]], truth: float) -> dict[str, float]:
    """Mean of |estimate - truth| / truth by estimator."""
    return {
        name: round(float(np.mean([abs(each[name] - truth) / truth for each in answers])), 5) for name in answers[0]
    }


def large(rounds: int, actions: int) -> dict[str, Any]:
    """Seconds and peak memory of `es-ranking ope` on a log of that size, both files as Parquet."""
    world = World(segments=100, items=actions, seed=7)
    step = 10_000  # small: a child begins with the peak of its parent
    with tempfile.TemporaryDirectory() as folder:
        log, policy = Path(folder) / "log.parquet", Path(folder) / "policy.parquet"
        writers: dict[Path, pq.ParquetWriter] = {}
        for start in range(0, rounds, step):
            drawn = world.draw(step, seed=start)
            names = pa.array([f"r{number}" for number in range(start, start + step)])
            each = np.repeat(np.arange(step), actions)
            tables = {
                log: {"request_id": names, "item": drawn["item"][:, 0], "position": np.ones(step),
                      "reward": drawn["reward"][:, 0], "propensity": drawn["propensity"][:, 0],
                      "segment": drawn["segment"]},
                policy: {"request_id": names.take(pa.array(each)), "item": np.tile(np.arange(actions), step),
                         "position": np.ones(each.size), "probability": world.target[drawn["segment"], 0].ravel()},
            }  # fmt: skip
            for path, columns in tables.items():
                table = pa.table(columns)
                if path not in writers:
                    writers[path] = pq.ParquetWriter(path, table.schema)
                writers[path].write_table(table)
        for writer in writers.values():
            writer.close()
        started = time.perf_counter()
        command = [sys.executable, "-m", "cli", "ope", "--log", str(log), "--policy", str(policy), "--output", "json"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seconds = time.perf_counter() - started
    return {
        "rounds": rounds, "actions": actions, "seconds": round(seconds, 1),
        "policy_rows_per_second": round(rounds * actions / seconds),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "truth": world.value(world.target), "dr": json.loads(told)["estimators"]["dr"],
    }  # fmt: skip


def main() -> None:
    """Reads the command line, runs one part, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["coverage", "peers", "slates", "large"])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=3000, help="of each log, for coverage")
    parser.add_argument("--peers-python", default="python")
    parser.add_argument("--rounds", type=int, default=1_000_000, help="a multiple of 10,000")
    parser.add_argument("--actions", type=int, default=80)
    chosen = parser.parse_args()
    found = {
        "coverage": lambda: coverage(chosen.runs, chosen.requests),
        "peers": lambda: peers(chosen.runs, chosen.peers_python),
        "slates": lambda: slates(chosen.runs, chosen.peers_python),
        "large": lambda: large(chosen.rounds, chosen.actions),
    }[chosen.part]()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
