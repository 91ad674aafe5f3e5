"""How probably an item is a lure: two stories are told of its counts, and Bayes' rule says which fits better.

The honest story: an item's rate (what follows its clicks, say) scatters around its list's rate g as a Beta with mean
g and precision κ, both estimated from all items (empirical Bayes: Robbins 1956; moments: Kleinman 1973), so its count
is beta-binomial. The lure's story: the same with a mean anywhere between 0 and drop · g. An item with few trials fits
both about equally well and keeps the prior share: that is the shrinkage. g and κ are those of the honest, so they are
estimated with each item counting as far as it is believed honest, in turns (EM: Dempster, Laird and Rubin 1977).
Clicks are one more sign: the lure's click rate is higher than its peers', on the log scale, as far as noise and the
honest scatter let one see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, logit

from segments.errors import ContractBroken

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
LIST_STRENGTH = 200.0
PRECISION = (2.0, 1000.0)
CLICK_LIMIT = 3.0
LEAST_RATE = 0.002
DROPS = (0.1, 0.4, 0.7, 1.0)
ROUNDS = 8


@dataclass(frozen=True)
class Signal:
    """Something that should happen to an honest item's trials.

    Attributes:
        words: reason given when it does not, with `{rate}` and `{peers}` to fill in.
        hits: (n,) how often it happened.
        trials: (n,) how often it could have.
    """

    words: str
    hits: F64
    trials: F64


@dataclass(frozen=True)
class Suspicion:
    """Attributes: probability: (n,) that the item is a lure; reason: (n,) the sign that speaks loudest, in words."""

    probability: F64
    reason: list[str]


def suspicion(
    lists: I64, *, impressions: F64, clicks: F64, signals: list[Signal], prior_share: float, drop: float, lift: float
) -> Suspicion:
    """Judges every item against the peers of its list.

    Args:
        lists: (n,) the list of each item, 0, 1, …
        impressions: (n,) times shown.
        clicks: (n,) times clicked.
        signals: what should follow; without any, nothing is suspicious.
        prior_share: of lures.
        drop: the most a lure's rate is of its peers', for every signal.
        lift: a lure's click rate over its peers'.

    Raises:
        ContractBroken: lengths differ, or more hits than trials.
    """
    n = lists.size
    columns = [impressions, clicks, *(s.hits for s in signals), *(s.trials for s in signals)]
    if any(column.shape != (n,) for column in columns):
        raise ContractBroken("lists, counts and signals must have one length")
    if any((s.hits > s.trials).any() for s in signals):
        raise ContractBroken("something follows clicks more often than there are clicks")
    if not n or not signals:
        return Suspicion(np.zeros(n), [""] * n)
    prior = float(logit(prior_share))
    # Nothing that could follow was looked at: clicks alone accuse nobody.
    blind = np.stack([s.trials for s in signals]).sum(axis=0) == 0
    begin = np.stack([_not_lowest(lists, signal) for signal in signals]).all(axis=0)
    honest: F64 = np.asarray(begin, dtype=np.float64)
    for _ in range(ROUNDS):
        weights = np.stack([_log_odds(lists, signal, honest, drop) for signal in signals])
        odds = prior + weights.sum(axis=0) + _click_log_odds(lists, impressions, clicks, honest, lift)
        probability = np.asarray(np.where(blind, prior_share, expit(odds)), dtype=np.float64)
        honest = np.asarray(1.0 - probability)
    loudest = weights.argmax(axis=0)
    peers = [_peers(lists, signal, honest)[lists] for signal in signals]
    reason = [_reason(signals[k], i, peers[k][i]) if probability[i] > 0.5 else "" for i, k in enumerate(loudest)]
    return Suspicion(probability, reason)


def _reason(signal: Signal, i: int, peers: float) -> str:
    return signal.words.format(rate=f"{signal.hits[i] / max(signal.trials[i], 1.0):.1%}", peers=f"{peers:.1%}")


def _peers(lists: I64, signal: Signal, honest: F64) -> F64:
    """(lists,) rate of each list's honest items, shrunken to the rate of all by 200 trials."""
    count = int(lists.max()) + 1
    own, of = honest * signal.hits, honest * signal.trials
    overall = own.sum() / max(of.sum(), 1.0)
    hits, trials = np.bincount(lists, own, count), np.bincount(lists, of, count)
    return np.asarray((hits + LIST_STRENGTH * overall) / (trials + LIST_STRENGTH))


def _not_lowest(lists: I64, signal: Signal) -> NDArray[np.bool_]:
    """Where the rounds begin: the fifth of the items furthest below its peers is set aside."""
    rate = np.clip(_peers(lists, signal, np.ones(lists.size))[lists], LEAST_RATE, 1.0 - 1e-6)
    expected = signal.trials * rate
    z = (signal.hits - expected) / np.sqrt(np.maximum(expected * (1.0 - rate), 1e-12))
    enough = signal.trials >= 5
    return z >= np.quantile(z[enough], 0.2) if enough.sum() >= 20 else np.ones(lists.size, dtype=np.bool_)


def _log_odds(lists: I64, signal: Signal, honest: F64, drop: float) -> F64:
    rate = _peers(lists, signal, honest)[lists]
    # Where the peers' own rate is next to nothing, its absence says nothing either.
    silent = rate < LEAST_RATE
    rate = np.clip(rate, LEAST_RATE, 1.0 - 1e-6)
    precision = _precision(signal, rate, honest)
    drops = [_log_likelihood(signal, drop * part * rate, precision) for part in DROPS]
    lure = np.logaddexp.reduce(np.stack(drops), axis=0) - np.log(len(DROPS))
    return np.where(silent, 0.0, lure - _log_likelihood(signal, rate, precision))


def _log_likelihood(signal: Signal, mean: F64, precision: float) -> F64:
    a, b = mean * precision, (1.0 - mean) * precision
    return np.asarray(betaln(a + signal.hits, b + signal.trials - signal.hits) - betaln(a, b))


def _precision(signal: Signal, rate: F64, honest: F64) -> float:
    """κ by moments: E[(h - t·g)²] = t·g(1-g)·(1 + (t-1)/(κ+1)), summed over honest items with a few trials."""
    enough = signal.trials >= 5
    if enough.sum() < 20:
        return 10.0
    t, g, h, w = signal.trials[enough], rate[enough], signal.hits[enough], honest[enough]
    spread = np.sum(w * ((h - t * g) ** 2 / (t * g * (1.0 - g)) - 1.0))
    scale = np.sum(w * (t - 1.0))
    inverse = spread / scale if scale > 0 else 0.0
    return float(np.clip(1.0 / inverse - 1.0 if inverse > 0 else PRECISION[1], *PRECISION))


def _click_log_odds(lists: I64, impressions: F64, clicks: F64, honest: F64, lift: float) -> F64:
    """log N(x; log lift, s²) - log N(x; 0, s²) of the log click rate over the peers', kept within ±3."""
    clicked = Signal("", clicks, np.maximum(impressions, clicks))
    overall = float((honest * clicks).sum() / max(float((honest * clicked.trials).sum()), 1.0))
    if overall <= 0 or lift <= 1:
        return np.zeros(lists.size)
    peers = _peers(lists, clicked, honest)[lists]
    x = np.log((clicks + 0.5) / (impressions * peers + 0.5))
    noise = 1.0 / (impressions * peers + 0.5)
    scatter = max(float(np.median(np.abs(x - np.median(x)))) * 1.4826, 0.1) ** 2
    shift = np.log(lift)
    return np.asarray(np.clip((x * shift - 0.5 * shift**2) / (scatter + noise), -CLICK_LIMIT, CLICK_LIMIT))
