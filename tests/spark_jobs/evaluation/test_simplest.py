from __future__ import annotations

import numpy as np
import pytest

from segments.errors import Refused
from spark_jobs.evaluation.ranking import UserSums
from spark_jobs.evaluation.simplest import Entrant, simplest

USERS = 400
RANDOM = np.random.default_rng(5)
BASE = RANDOM.random(USERS)


def entrant(name: str, parameters: int, *, better: float, noise: float = 0.05) -> Entrant:
    """A metric that is 0.5 on average and `better` higher, user by user, with noise of its own."""
    scores = BASE + better + noise * RANDOM.standard_normal(USERS)
    return Entrant(name, parameters, {"ndcg@20": UserSums(scores, np.ones(USERS))})


def test_the_simplest_within_the_interval_of_the_best_is_taken() -> None:
    # A gap's standard error is 0.05·√2 / 20 = 0.0035: 0.0005 is nothing, 0.03 is much.
    found = simplest(
        [
            entrant("huge", 9000, better=0.0005),
            entrant("small", 50, better=0.0),
            entrant("tiny", 5, better=-0.03),
            entrant("middle", 500, better=0.0),
        ],
        users=USERS,
        metrics=["ndcg@20"],
    )
    assert found["chosen"] == "small"
    within = {name: line["within"] for name, line in found["evidence"].items()}
    assert within == {"huge": True, "small": True, "tiny": False, "middle": True}
    value, low, high = found["evidence"]["tiny"]["ndcg@20"]["behind"]
    assert 0.015 < low < value < high < 0.045


def test_a_lead_that_is_shown_is_worth_its_parameters() -> None:
    found = simplest(
        [entrant("big", 9000, better=0.05), entrant("small", 50, better=0.0)], users=USERS, metrics=["ndcg@20"]
    )
    assert found["chosen"] == "big"


def test_every_metric_must_hold_and_where_none_does_the_first_decides() -> None:
    a, b = entrant("a", 10, better=0.1), entrant("b", 5, better=0.0)
    sums = {"one": a.sums["ndcg@20"], "two": b.sums["ndcg@20"]}
    split = [Entrant("a", 10, sums), Entrant("b", 5, {"one": sums["two"], "two": sums["one"]})]
    found = simplest(split, users=USERS, metrics=["one", "two"])
    assert [line["within"] for line in found["evidence"].values()] == [False, False]
    assert found["chosen"] == "a"
    assert simplest(split, users=USERS, metrics=["two"])["chosen"] == "b"


def test_nobody_is_refused() -> None:
    with pytest.raises(Refused, match="no contestant"):
        simplest([], users=3, metrics=["ndcg@20"])
