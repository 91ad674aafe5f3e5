"""Judges a shelf: rules vote, trees say where lures are to be expected, operators' decisions weigh both; and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from spark_jobs.lures.classifier import Expected, expected, rule_weights
from spark_jobs.lures.context import WORDS, Traits, features
from spark_jobs.lures.label_model import UNKNOWN, LabelModel, agreement, blind, fit_label_model
from spark_jobs.lures.marks import title_marks
from spark_jobs.lures.rules import RULES, mark_rule
from spark_jobs.lures.settings import LureSettings

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
REASONS = 3  # at most, of one item
SPEAKS = 0.5  # log odds from which a sign is worth telling
TOLD_FROM = 0.05  # probability from which an item gets its reasons


@dataclass(frozen=True)
class Items:
    """The items of a shelf, in the order of their ids.

    Attributes:
        traits: what they are.
        titles: (n,) None where there is none.
        counts: (n,) each, by the names that rules give; what a source cannot count is left out, or all zero.
        labels: (n,) what operators have decided: 1 lure, 0 honest, -1 nothing.
    """

    traits: Traits
    titles: Sequence[str | None]
    counts: Mapping[str, F64]
    labels: I64


@dataclass(frozen=True)
class Verdict:
    """Attributes: probability: (n,) that the item is a lure; reason: (n,) the signs that speak loudest, in words."""

    probability: F64
    reason: list[str]


@dataclass(frozen=True)
class Judge:
    """A shelf's verdict, and whoever wants to judge a part of its clicks by the same measure."""

    items: Items
    model: LabelModel
    expected: Expected
    columns: F64
    weights: F64
    shift: float
    votes: F64
    log_odds: F64

    def verdict(self) -> Verdict:
        """Of every item, by everybody's clicks."""
        return self._verdict(np.arange(self.log_odds.size), self.items.counts, self.votes)

    def in_segment(self, rows: I64, counts: Mapping[str, F64], *, strength: float) -> Verdict:
        """Of some items, by the clicks of one segment, filled up with everybody's to `strength` trials.

        Args:
            rows: (m,) which items.
            counts: (m,) each, by name; of a rule whose counts are missing, everybody's.
            strength: trials; a segment with as many stands for itself.
        """
        everybody = {name: column[rows] for name, column in self.items.counts.items()}
        told = dict(everybody)
        for rule in self.model.rules:
            if rule.hits in counts and rule.trials in counts:
                trials, own = everybody[rule.trials], counts[rule.trials]
                more = np.maximum(np.minimum(strength, trials) - own, 0.0)
                told[rule.hits] = counts[rule.hits] + more * everybody[rule.hits] / np.maximum(trials, 1.0)
                told[rule.trials] = own + more
        return self._verdict(rows, told, self.model.votes(self.items.traits.lists[rows], told))

    def told(self) -> list[dict[str, object]]:
        """One row a rule: what it accuses and clears, how far the others agree, and what its vote counts."""
        agreed = agreement(self.votes, self.log_odds)
        return [
            {"rule": rule.name, "accuses": int((vote > 1.0).sum()), "clears": int((vote < -1.0).sum()),
             "agreement": None if both is None else round(both, 3), "weight": round(float(weight), 3)}
            for rule, vote, both, weight in zip(self.model.rules, self.votes, agreed, self.weights, strict=True)
        ]  # fmt: skip

    def _verdict(self, rows: I64, counts: Mapping[str, F64], votes: F64) -> Verdict:
        before = logit(self.model.share) + self.expected.log_odds[rows]
        probability = np.asarray(expit(before + self.shift + self.weights @ votes))
        reason = [""] * rows.size
        for i in np.flatnonzero(probability >= TOLD_FROM):
            reason[i] = "; ".join(self._reasons(int(rows[i]), int(i), counts, votes[:, i]))
        return Verdict(probability, reason)

    def _reasons(self, row: int, i: int, counts: Mapping[str, F64], votes: F64) -> list[str]:
        found: list[tuple[float, str]] = []
        for weight, vote, one in zip(self.weights, votes, self.model.learnt, strict=True):
            rate = counts[one.rule.hits][i] / max(counts[one.rule.trials][i], 1.0)
            peers = one.peers[self.items.traits.lists[row]]
            found.append((weight * vote, one.rule.words.format(rate=f"{rate:.1%}", peers=f"{peers:.1%}")))
        for part, value, words in zip(self.expected.parts[row], self.columns[row], WORDS.values(), strict=True):
            if np.isfinite(value):
                found.append((float(part), words.format(value=value)))
        loudest = sorted((one for one in found if one[0] >= SPEAKS), key=lambda one: -one[0])
        return [words for _, words in loudest[:REASONS]]


def judge(items: Items, settings: LureSettings) -> Judge | None:
    """Learns from a shelf, and judges it; None where nothing is to be called a lure.

    Rules whose counts are not there do not vote.

    Raises:
        ContractBroken: there are no counts of what defines a lure, or counts are of another length or no counts.
        MissingExtra: xgboost is not installed.
    """
    n = items.traits.lists.size
    if settings.follow == "off" or not n:
        return None
    marked = title_marks(items.titles, settings.marks)
    marked = {name: column for name, column in marked.items() if column.any()}
    counts = {**items.counts, **{f"mark {name}": column for name, column in marked.items()}, "titles": np.ones(n)}
    items = replace(items, counts=counts)
    voting = (rule for rule in RULES[settings.follow] if {rule.hits, rule.trials} <= set(counts))
    rules = (*voting, *(mark_rule(name) for name in marked))
    lists, labels = items.traits.lists, items.labels
    model = fit_label_model(rules, lists, counts, share=settings.prior_share, drop=settings.drop, labels=labels)
    votes = model.votes(lists, counts)
    soft = np.where(labels == UNKNOWN, expit(logit(model.share) + votes.sum(axis=0)), labels)
    columns = features(items.traits, soft)
    judged = ~blind(rules, counts) | (labels != UNKNOWN)
    context = expected(columns, soft, judged, share=model.share)
    before = logit(model.share) + context.log_odds
    weights, shift = rule_weights(votes, before, labels)
    log_odds = before + shift + weights @ votes
    return Judge(items, model, context, columns, weights, shift, votes, np.asarray(log_odds))
