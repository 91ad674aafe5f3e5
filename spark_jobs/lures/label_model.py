"""The label model: every weak rule votes on every item, and how far a rule is believed is learnt from agreement.

A rule tells two stories of an item's counts, and its vote is the log of how much better the second fits. The honest
story: the item's rate scatters around its list's rate g as a Beta with mean g and precision κ, both estimated from all
items (empirical Bayes: Robbins 1956; moments: Kleinman 1973), so its count is beta-binomial. The lure's story: the same
with one of several other means; how often each holds is learnt as well. A rule whose accused are accused by nobody else
ends at the mean of the honest, and its votes at 0. An item with few trials fits both stories about equally well: that
is the shrinkage.

Votes add up to log odds (naive Bayes), beginning from the share of lures. Share, rates, precisions and stories are
estimated with each item counting as far as it is believed honest or a lure, in turns (EM: Dawid and Skene 1979;
Dempster, Laird and Rubin 1977); what an operator has decided is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, logit

from segments.errors import ContractBroken
from spark_jobs.lures.rules import Rule

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
LIST_STRENGTH = 200.0  # trials of the whole shop that a list's rate begins with
SHARE_STRENGTH = 30.0  # items that the expected share of lures counts as
STORY_STRENGTH = 10.0  # lures that the stories' even chances count as
PRECISION = (2.0, 1000.0)
LEAST_RATE = 0.002
PARTS = (0.1, 0.4, 0.7, 1.0)  # of what a lure has at most, for lead rules
SHIFTS = (0.0, 0.7, 1.4, 2.1, 3.0)  # of the log odds, for the others
LIMIT = 3.0  # a rule that does not lead says no more
ROUNDS, SETTLED = 30, 1e-3  # at most so many; fewer once the share moves by less than this part of itself
UNKNOWN = -1


@dataclass(frozen=True)
class Learnt:
    """What is known of one rule. Attributes: peers: (lists,) honest rate; stories: (k,) how often each holds."""

    rule: Rule
    peers: F64
    precision: float
    stories: F64


@dataclass(frozen=True)
class LabelModel:
    """Attributes: share: of lures among the items that could be judged; drop: as in the settings."""

    learnt: tuple[Learnt, ...]
    share: float
    drop: float

    @property
    def rules(self) -> list[Rule]:
        """Who votes, in the order of the votes."""
        return [one.rule for one in self.learnt]

    def votes(self, lists: I64, counts: Mapping[str, F64]) -> F64:
        """(rules, n) log odds; 0 where a rule has nothing to go by, and where no lead rule has."""
        votes = np.stack([_vote(one, lists, counts, self.drop)[0] for one in self.learnt])
        return np.asarray(np.where(blind(self.rules, counts), 0.0, votes))


def fit_label_model(
    rules: Sequence[Rule],
    lists: I64,
    counts: Mapping[str, F64],
    *,
    share: float,
    drop: float,
    labels: I64 | None = None,
) -> LabelModel:
    """Learns from all items of a shelf.

    Args:
        rules: at least one that leads.
        lists: (n,) the list of each item, 0, 1, …
        counts: (n,) each, by the names the rules give.
        share: of lures, expected before looking.
        drop: the most a lure's rate is of its peers', for the rules that lead.
        labels: (n,) 1 an operator's lure, 0 an operator's honest item, -1 not decided.

    Raises:
        ContractBroken: a column is missing or of another length, or there are more hits than trials.
    """
    _check(rules, lists, counts)
    known = np.full(lists.size, UNKNOWN, dtype=np.int64) if labels is None else labels
    dark = blind(rules, counts)
    honest = _begin(rules, lists, counts)
    chances = [np.full(len(PARTS if rule.lead else SHIFTS), 1.0) for rule in rules]
    chances = [one / one.sum() for one in chances]
    found = share
    learnt: list[Learnt] = []
    for _ in range(ROUNDS):
        honest = np.where(known == UNKNOWN, honest, 1.0 - known)
        guilty = np.where(dark, 0.0, 1.0 - honest)
        learnt, odds = [], np.full(lists.size, logit(found))
        for k, rule in enumerate(rules):
            peers = _peers(lists, counts[rule.hits], counts[rule.trials], honest)
            one = Learnt(rule, peers, _precision(rule, peers[lists], counts, honest), chances[k])
            vote, fits = _vote(one, lists, counts, drop)
            spoken = guilty * (counts[rule.trials] > 0)
            even = STORY_STRENGTH / len(chances[k])
            chances[k] = (fits @ spoken + even) / (spoken.sum() + STORY_STRENGTH)
            odds += np.where(dark, 0.0, vote)
            learnt.append(one)
        honest = np.asarray(1.0 - expit(odds))
        guilt = float((1.0 - honest)[~dark].sum())
        before, found = found, (guilt + SHARE_STRENGTH * share) / (float((~dark).sum()) + SHARE_STRENGTH)
        if abs(found - before) < SETTLED * before:
            break
    return LabelModel(tuple(learnt), found, drop)


def blind(rules: Sequence[Rule], counts: Mapping[str, F64]) -> NDArray[np.bool_]:
    """(n,) items of which no lead rule knows anything: clicks or titles alone accuse nobody."""
    return np.asarray(np.stack([counts[rule.trials] for rule in rules if rule.lead]).sum(axis=0) == 0)


def agreement(votes: F64, odds: F64) -> list[float | None]:
    """For each rule, how far the others confirm it: 1 always, 0.5 as chance would, None if it takes only one side.

    The mean of what the others make of those it accuses (probability of a lure) and of those it clears (of none).

    Args:
        votes: (rules, n) log odds.
        odds: (n,) of all of them together, prior included.
    """
    told: list[float | None] = []
    for vote in votes:
        others = expit(odds - vote)
        accused, cleared = vote > 1.0, vote < -1.0
        both = accused.any() and cleared.any()
        told.append(float(others[accused].mean() + (1.0 - others[cleared]).mean()) / 2 if both else None)
    return told


def _check(rules: Sequence[Rule], lists: I64, counts: Mapping[str, F64]) -> None:
    if not any(rule.lead for rule in rules):
        raise ContractBroken("no rule says what a lure is", hint="at least one must lead")
    for rule in rules:
        missing = [name for name in (rule.hits, rule.trials) if name not in counts]
        if missing:
            raise ContractBroken(f"rule {rule.name}: counts {', '.join(missing)} are missing")
        hits, trials = counts[rule.hits], counts[rule.trials]
        if hits.shape != lists.shape or trials.shape != lists.shape:
            raise ContractBroken(f"rule {rule.name}: lists and counts must have one length")
        if not (hits >= 0).all() or not (hits <= trials).all():
            raise ContractBroken(f"rule {rule.name}: {rule.hits} must lie between 0 and {rule.trials}")


def _begin(rules: Sequence[Rule], lists: I64, counts: Mapping[str, F64]) -> F64:
    """Where the rounds begin: for each lead rule the fifth of the items furthest below its peers is set aside."""
    honest = np.ones(lists.size)
    for rule in (rule for rule in rules if rule.lead):
        hits, trials = counts[rule.hits], counts[rule.trials]
        rate = np.clip(_peers(lists, hits, trials, np.ones(lists.size))[lists], LEAST_RATE, 1.0 - 1e-6)
        z = (hits - trials * rate) / np.sqrt(np.maximum(trials * rate * (1.0 - rate), 1e-12))
        enough = trials >= 5
        if enough.sum() >= 20:
            honest *= z >= np.quantile(z[enough], 0.2)
    return honest


def _peers(lists: I64, hits: F64, trials: F64, honest: F64) -> F64:
    """(lists,) rate of each list's honest items, shrunken to the rate of all."""
    count = int(lists.max()) + 1 if lists.size else 0
    own, of = honest * hits, honest * trials
    overall = own.sum() / max(of.sum(), 1.0)
    return np.asarray(
        (np.bincount(lists, own, count) + LIST_STRENGTH * overall) / (np.bincount(lists, of, count) + LIST_STRENGTH)
    )


def _vote(one: Learnt, lists: I64, counts: Mapping[str, F64], drop: float) -> tuple[F64, F64]:
    """(n,) log odds of one rule, and (stories, n) which of the lure's stories fits how well."""
    rule = one.rule
    vote, fits = np.zeros(lists.size), np.zeros((len(one.stories), lists.size))
    rows = np.flatnonzero(counts[rule.trials] > 0)
    hits, trials = counts[rule.hits][rows], counts[rule.trials][rows]
    found = one.peers[lists[rows]]
    rate = np.clip(found, LEAST_RATE, 1.0 - 1e-6)
    honest = _log_likelihood(hits, trials, rate, one.precision)
    if rule.lead:
        means = [drop * part * rate for part in PARTS]
    else:
        way = -1.0 if rule.suspicious == "low" else 1.0
        means = [np.clip(expit(logit(rate) + way * shift), 1e-6, 1.0 - 1e-6) for shift in SHIFTS]
    lure = np.stack([_log_likelihood(hits, trials, mean, one.precision) for mean in means])
    lure += np.log(one.stories)[:, None]
    whole = np.logaddexp.reduce(lure, axis=0)
    fits[:, rows] = np.exp(lure - whole)
    told = whole - honest
    if rule.suspicious == "low":
        # Where the peers' own rate is next to nothing, its absence says nothing either.
        told = np.where(found < LEAST_RATE, 0.0, told)
    vote[rows] = told if rule.lead else np.clip(told, -LIMIT, LIMIT)
    return vote, fits


def _log_likelihood(hits: F64, trials: F64, mean: F64, precision: float) -> F64:
    a, b = mean * precision, (1.0 - mean) * precision
    return np.asarray(betaln(a + hits, b + trials - hits) - betaln(a, b))


def _precision(rule: Rule, rate: F64, counts: Mapping[str, F64], honest: F64) -> float:
    """κ by moments: E[(h - t·g)²] = t·g(1-g)·(1 + (t-1)/(κ+1)), summed over honest items with a few trials."""
    enough = counts[rule.trials] >= 5
    if enough.sum() < 20:
        return 10.0
    t, h, w = counts[rule.trials][enough], counts[rule.hits][enough], honest[enough]
    g = np.clip(rate[enough], LEAST_RATE, 1.0 - 1e-6)
    spread = np.sum(w * ((h - t * g) ** 2 / (t * g * (1.0 - g)) - 1.0))
    scale = np.sum(w * (t - 1.0))
    inverse = spread / scale if scale > 0 else 0.0
    return float(np.clip(1.0 / inverse - 1.0 if inverse > 0 else PRECISION[1], *PRECISION))
