"""How probably an item is a lure: two stories are told of its counts, and Bayes' rule says which fits better.

The honest story: an item's rate (what follows its clicks, say) scatters around its list's rate g as a Beta with mean
g and precision κ, both estimated from all items (empirical Bayes: Robbins 1956; moments: Kleinman 1973), so its count
is beta-binomial. The lure's story: the same with mean drop · g. An item with few trials fits both about equally well
and keeps the prior share: that is the shrinkage. Clicks enter as a third sign: the lure's click rate is higher than
its peers', on the log scale, as far as noise and the honest scatter let one see.
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
        drop: a lure's rate over its peers', for every signal.
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
    weights = np.stack([_log_odds(lists, signal, drop) for signal in signals])
    odds = float(logit(prior_share)) + weights.sum(axis=0) + _click_log_odds(lists, impressions, clicks, lift)
    probability = np.asarray(expit(odds), dtype=np.float64)
    # Without a single trial nothing is known that would follow: clicks alone accuse nobody.
    probability[np.stack([s.trials for s in signals]).sum(axis=0) == 0] = prior_share
    loudest = weights.argmax(axis=0)
    peers = [_peers(lists, signal)[lists] for signal in signals]
    reason = [_reason(signals[k], i, peers[k][i]) if probability[i] > 0.5 else "" for i, k in enumerate(loudest)]
    return Suspicion(probability, reason)


def _reason(signal: Signal, i: int, peers: float) -> str:
    return signal.words.format(rate=f"{signal.hits[i] / max(signal.trials[i], 1.0):.1%}", peers=f"{peers:.1%}")


def _peers(lists: I64, signal: Signal) -> F64:
    """(lists,) rate of each list, shrunken to the rate of all by 200 trials."""
    count = int(lists.max()) + 1
    overall = signal.hits.sum() / max(signal.trials.sum(), 1.0)
    hits, trials = np.bincount(lists, signal.hits, count), np.bincount(lists, signal.trials, count)
    return np.asarray((hits + LIST_STRENGTH * overall) / (trials + LIST_STRENGTH))


def _log_odds(lists: I64, signal: Signal, drop: float) -> F64:
    rate = _peers(lists, signal)[lists]
    # Where the peers' own rate is next to nothing, its absence says nothing either.
    silent = rate < LEAST_RATE
    rate = np.clip(rate, LEAST_RATE, 1.0 - 1e-6)
    precision = _precision(signal, rate)
    honest = _log_likelihood(signal, rate, precision)
    lure = _log_likelihood(signal, drop * rate, precision)
    return np.where(silent, 0.0, lure - honest)


def _log_likelihood(signal: Signal, mean: F64, precision: float) -> F64:
    a, b = mean * precision, (1.0 - mean) * precision
    return np.asarray(betaln(a + signal.hits, b + signal.trials - signal.hits) - betaln(a, b))


def _precision(signal: Signal, rate: F64) -> float:
    """κ by moments: E[(h - t·g)²] = t·g(1-g)·(1 + (t-1)/(κ+1)), summed over items with a few trials.

    The tenth that falls furthest below its peers is left out, since there the lures are.
    """
    t, g = signal.trials, rate
    z = (signal.hits - t * g) / np.sqrt(np.maximum(t * g * (1 - g), 1e-12))
    enough = t >= 5
    if enough.sum() < 20:
        return 10.0
    kept = enough & (z >= np.quantile(z[enough], 0.1))
    spread = np.sum((signal.hits - t * g)[kept] ** 2 / (t * g * (1 - g))[kept] - 1.0)
    scale = np.sum(t[kept] - 1.0)
    inverse = spread / scale if scale > 0 else 0.0
    return float(np.clip(1.0 / inverse - 1.0 if inverse > 0 else PRECISION[1], *PRECISION))


def _click_log_odds(lists: I64, impressions: F64, clicks: F64, lift: float) -> F64:
    """log N(x; log lift, s²) - log N(x; 0, s²) of the log click rate over the peers', kept within ±3."""
    count = int(lists.max()) + 1
    overall = clicks.sum() / max(impressions.sum(), 1.0)
    if overall <= 0 or lift <= 1:
        return np.zeros(lists.size)
    strength = 20.0 / overall
    own_list = (np.bincount(lists, clicks, count) + strength * overall) / (
        np.bincount(lists, impressions, count) + strength
    )
    peers = own_list[lists]
    x = np.log((clicks + 0.5) / (impressions * peers + 0.5))
    noise = 1.0 / (impressions * peers + 0.5)
    scatter = max(float(np.median(np.abs(x - np.median(x)))) * 1.4826, 0.1) ** 2
    shift = np.log(lift)
    return np.asarray(np.clip((x * shift - 0.5 * shift**2) / (scatter + noise), -CLICK_LIMIT, CLICK_LIMIT))
