"""mabwiser's answers to benchmarks/bandits.py; runs in the peers' environment: JSON in, JSON out."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

POLICIES = {
    "thompson": LearningPolicy.ThompsonSampling(),
    "ucb1": LearningPolicy.UCB1(alpha=1.0),
    "epsilon-greedy": LearningPolicy.EpsilonGreedy(epsilon=0.1),
}


def regret(told: dict) -> dict:
    found = {}
    for name in told["policies"]:
        lost = []
        for world, rate in enumerate(told["rate"]):
            random = np.random.default_rng(world)
            mab = MAB(list(range(len(rate))), POLICIES[name], seed=world)
            # Every arm once: an arm that UCB1 has never seen is worth 0 to it and stays out for good.
            once = np.arange(len(rate))
            mab.fit(once, (random.random(len(rate)) < rate).astype(float))
            total = float(np.sum(max(rate) - np.array(rate)))
            for _ in range(told["rounds"] - len(rate)):
                arm = mab.predict()
                total += max(rate) - rate[arm]
                mab.partial_fit(np.array([arm]), np.array([float(random.random() < rate[arm])]))
            lost.append(total)
        found[name] = lost
    return found


def agree(told: dict) -> dict:
    arm, reward = np.array(told["arm"]), np.array(told["reward"])
    ucb1 = MAB(list(range(5)), POLICIES["ucb1"], seed=1)
    ucb1.fit(arm, reward)
    expected = ucb1.predict_expectations()
    thompson = MAB(list(range(5)), POLICIES["thompson"], seed=1)
    thompson.fit(arm, reward)
    draws = np.array([[each[a] for a in range(5)] for each in (thompson.predict_expectations() for _ in range(20_000))])
    found = {"ucb1": [expected[a] for a in range(5)], "thompson mean": draws.mean(0).tolist(), "linear": {}}
    unseen = MAB(list(range(6)), POLICIES["ucb1"], seed=1)
    unseen.fit(arm, reward)
    found["ucb1 unseen"] = unseen.predict_expectations()[5]
    random, chosen = np.random.default_rng(1), 0
    for _ in range(500):
        best = unseen.predict()
        chosen += best == 5
        unseen.partial_fit(np.array([best]), np.array([float(random.random() < 0.3)]))
    found["ucb1 unseen chosen"] = chosen
    features, target, asked = (np.array(told[name]) for name in ("features", "target", "asked"))
    for strength in told["strengths"]:
        # One arm with history and one without; its items are the contexts.
        ucb = MAB(["warm", "cold"], LearningPolicy.LinUCB(alpha=1.0, l2_lambda=strength), seed=1)
        ucb.fit(["warm"] * len(target), target, features)
        answers = ucb.predict_expectations(asked)
        ts = MAB(["warm", "cold"], LearningPolicy.LinTS(alpha=1.0, l2_lambda=strength), seed=1)
        ts.fit(["warm"] * len(target), target, features)
        sampled = np.array([[each["warm"] for each in ts.predict_expectations(asked)] for _ in range(3000)])
        found["linear"][str(strength)] = {
            "linucb": [each["warm"] for each in answers],
            "cold bonus": [each["cold"] for each in answers],
            "lints deviation": sampled.std(0).tolist(),
        }
    return found


def speed(told: dict) -> dict:
    random, arms, found = np.random.default_rng(1), told["arms"], {}
    for name in told["policies"]:
        mab = MAB(list(range(arms)), POLICIES[name], seed=1)
        mab.fit(np.arange(arms), random.integers(0, 2, arms).astype(float))
        times = []
        for _ in range(5):
            if name == "ucb1":
                # Its numbers are made while fitting, for all arms.
                started = time.process_time()
                mab.partial_fit(np.arange(3), np.array([0.0, 1.0, 0.0]))
            else:
                started = time.process_time()
                mab.predict_expectations()
            times.append(time.process_time() - started)
        found[name] = 1e6 * float(np.median(times)) / arms
    return found


print(json.dumps({"regret": regret, "agree": agree, "speed": speed}[sys.argv[1]](json.load(sys.stdin))))
