"""What is learnt on top of the rules: where lures are to be expected, and how much operators make of each rule.

Boosted trees (Chen and Guestrin, KDD 2016) learn the label model's verdicts from what items are (`context`), so their
log odds take the place of the one share of lures that the label model begins with: as votes depend on clicks and the
trees on everything else, both are added. Trees are grown on four fifths of the items and asked about the fifth, as many
as help there; none where nothing helps.

Operators' decisions weigh the rules: a ridge logistic regression on the votes, whose weights begin at 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from segments.errors import MissingExtra
from spark_jobs.lures.context import FOLDS, RISING, WORDS, fold_of

if TYPE_CHECKING:
    from types import ModuleType

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
TREES = (5, 10, 20, 40, 80)
LEAST_LURES = 5.0  # expected lures, below which there is nothing to learn from
LIMIT = 2.0  # what an item is alone condemns nobody
RIDGE, LOUDEST = 20.0, 3.0  # no vote is louder when weighed: some twenty decisions silence a rule, and not one
PARAMETERS = {
    "objective": "binary:logistic", "max_depth": 2, "eta": 0.2, "lambda": 5.0, "min_child_weight": 1.0,
    "tree_method": "hist", "seed": 0, "nthread": 1,
    "monotone_constraints": tuple(int(name in RISING) for name in WORDS),
}  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """Attributes: log_odds: (n,) beside the share of lures; parts: (n, features) what each feature adds to them;
    trees: how many helped."""

    log_odds: F64
    parts: F64
    trees: int


def expected(columns: F64, suspicion: F64, judged: NDArray[np.bool_], *, share: float) -> Expected:
    """How much likelier a lure is among items like this one than among all.

    Args:
        columns: (n, features), NaN where not known.
        suspicion: (n,) the label model's probabilities.
        judged: (n,) items that rules could say something of; learnt from these only.
        share: of lures.

    Raises:
        MissingExtra: xgboost is not installed.
    """
    n, width = columns.shape
    nothing = Expected(np.zeros(n), np.zeros((n, width)), 0)
    fold = fold_of(n)
    if suspicion[judged].sum() < LEAST_LURES or np.unique(fold[judged]).size < FOLDS:
        return nothing
    xgboost = _library()
    parameters = {**PARAMETERS, "base_score": share}
    start = float(logit(share))
    margins = np.zeros((len(TREES), n))
    grown: list[tuple[Any, Any]] = []
    for one in range(FOLDS):
        rest = judged & (fold != one)
        booster = xgboost.train(parameters, xgboost.DMatrix(columns[rest], suspicion[rest]), TREES[-1])
        asked = xgboost.DMatrix(columns[fold == one])
        grown.append((booster, asked))
        for k, trees in enumerate(TREES):
            told = booster.predict(asked, output_margin=True, iteration_range=(0, trees))
            margins[k, fold == one] = told - start
    losses = [_loss(start + margin[judged], suspicion[judged]) for margin in margins]
    best = int(np.argmin(losses))
    if losses[best] >= _loss(np.full(int(judged.sum()), start), suspicion[judged]):
        return nothing
    parts = np.zeros((n, width))
    for one, (booster, asked) in enumerate(grown):
        told = booster.predict(asked, pred_contribs=True, iteration_range=(0, TREES[best]))
        parts[fold == one] = told[:, :width]
    return Expected(np.clip(margins[best], -LIMIT, LIMIT), parts, TREES[best])


def rule_weights(votes: F64, before: F64, labels: I64) -> tuple[F64, float]:
    """How much each rule's vote counts, at least 0, and what is added to all: 1 and 0 until operators say otherwise.

    Args:
        votes: (rules, n) log odds.
        before: (n,) log odds before any rule has voted.
        labels: (n,) 1 lure, 0 honest, -1 not decided.
    """
    known = labels >= 0
    weights = np.r_[np.ones(len(votes)), 0.0]
    if not known.any():
        return weights[:-1], 0.0
    start = weights.copy()
    x = np.vstack([np.clip(votes[:, known], -LOUDEST, LOUDEST), np.ones(int(known.sum()))])
    for _ in range(50):
        p = expit(before[known] + weights @ x)
        slope = x @ (p - labels[known]) + RIDGE * (weights - start)
        curve = (x * np.maximum(p * (1.0 - p), 1e-9)) @ x.T + RIDGE * np.eye(len(weights))
        move = np.clip(np.linalg.solve(curve, slope), -0.5, 0.5)
        weights = weights - move
        weights[:-1] = np.maximum(weights[:-1], 0.0)
        if np.abs(move).max() < 1e-8:
            break
    return weights[:-1], float(weights[-1])


def _loss(odds: F64, target: F64) -> float:
    return float(np.mean(np.logaddexp(0.0, odds) - target * odds))


def _library() -> ModuleType:
    try:
        import xgboost
    except ImportError as error:
        raise MissingExtra.of("batch", "xgboost") from error
    found: ModuleType = xgboost
    return found
