"""From rounds to estimates with intervals: bootstrap over clusters, thresholds chosen by the data.

Requests of one cluster (a segment in a nightly run) share an exploration draw, so clusters are resampled, never rows.
Intervals are made of the bootstrap's standard error and of how unevenly clusters decide (`skewed`): with few clusters
the percentile interval is too narrow (Cameron, Gelbach and Miller, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segments.errors import Refused
from spark_jobs.evaluation.bootstrap import Interval, PairedBootstrap
from spark_jobs.evaluation.ope.clipping import least_error
from spark_jobs.evaluation.ope.registry import ESTIMATORS, Estimator
from spark_jobs.evaluation.ope.rounds import F64, I64, Rounds, Terms
from spark_jobs.evaluation.ope.skewed import skewed_interval
from spark_jobs.evaluation.ranking import UserSums

FEWEST_CLUSTERS = 30


@dataclass(frozen=True)
class Sampled:
    """An estimate, its resamples and what each cluster adds to it.

    Attributes:
        value: the estimate.
        samples: (draws,) the estimate in each resample.
        influence: (clusters,) Σ (numerator - ratio · denominator) / Σ denominator, to first order.
    """

    value: float
    samples: F64
    influence: F64

    def __sub__(self, other: Sampled) -> Sampled:
        return Sampled(self.value - other.value, self.samples - other.samples, self.influence - other.influence)

    @property
    def error(self) -> float:
        """Standard error, by the bootstrap."""
        good = self.samples[~np.isnan(self.samples)]
        clusters = self.influence.size
        return float(good.std(ddof=1) * np.sqrt(clusters / (clusters - 1))) if good.size > 1 else float("nan")


@dataclass(frozen=True)
class Estimate:
    """What one estimator says.

    Attributes:
        interval: value of the policy, reward per request.
        gain: the same less what the log itself earned, resampled together.
        effective: effective sample size (Σ w)² / Σ w² (Kish, 1965); None where nothing is weighted.
        largest: largest weight; None as above.
        threshold: chosen by the data; None where the estimator has none, infinite where none was needed.
    """

    interval: Interval
    gain: Interval
    effective: float | None
    largest: float | None
    threshold: float | None


class Judge:
    """Estimates of one log and policy, all resampled by the same draws.

    Args:
        rounds: log and policy.
        cluster: (requests,) cluster of each request, 0 … clusters - 1.
        draws: resamples.
        seed: of the draws.
        level: of the intervals.

    Raises:
        Refused: fewer than 30 clusters: their spread says too little.
    """

    def __init__(self, rounds: Rounds, cluster: I64, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> None:
        self.rounds, self._cluster = rounds, cluster
        self.clusters = int(cluster.max()) + 1
        if self.clusters < FEWEST_CLUSTERS:
            raise Refused(
                f"{self.clusters} clusters are too few for an interval, which needs {FEWEST_CLUSTERS}",
                hint="log more runs or segments",
            )
        self._bootstrap = PairedBootstrap(self.clusters, draws=draws, seed=seed, level=level)
        self._logged = self._sampled(Terms(((rounds.total(rounds.reward), np.ones(rounds.requests)),), None))

    @property
    def logged(self) -> Interval:
        """What the log itself earned per request."""
        return self._interval(self._logged)

    @property
    def mean_weight(self) -> Interval:
        """Mean weight of a row: 1 where propensities are right and the log covers the policy."""
        rounds = self.rounds
        rows = np.bincount(rounds.request, minlength=rounds.requests).astype(np.float64)
        return self._interval(self._sampled(Terms(((rounds.total(rounds.weight), rows),), None)))

    def estimate(self, name: str) -> Estimate:
        """What the estimator of that name says."""
        estimator = ESTIMATORS[name]
        threshold = self._threshold(estimator)
        terms = estimator.terms(self.rounds, np.inf if threshold is None else threshold)
        sampled, weights = self._sampled(terms), terms.weights
        squares = 0.0 if weights is None else float(weights @ weights)
        return Estimate(
            self._interval(sampled),
            self._interval(sampled - self._logged),
            None if weights is None else float(weights.sum()) ** 2 / squares if squares else 0.0,
            None if weights is None else float(weights.max()),
            threshold,
        )

    def _threshold(self, estimator: Estimator) -> float | None:
        if estimator.candidates is None:
            return None
        candidates = estimator.candidates(self.rounds.weight)
        judged = [self._sampled(estimator.terms(self.rounds, float(c))) for c in candidates]
        values, errors = np.array([[each.value, each.error] for each in judged]).T
        return float(candidates[least_error(values, errors)])

    def _sampled(self, terms: Terms) -> Sampled:
        value, samples, influence = 0.0, np.zeros(self._bootstrap.weights.shape[0]), np.zeros(self.clusters)
        for numerator, denominator in terms.ratios:
            sums = UserSums(self._by_cluster(numerator), self._by_cluster(denominator))
            value += sums.value
            samples = samples + self._bootstrap.ratios(sums)
            with np.errstate(invalid="ignore", divide="ignore"):  # no weight at all: NaN
                influence = influence + (sums.numerator - sums.value * sums.denominator) / sums.denominator.sum()
        return Sampled(value, samples, influence)

    def _by_cluster(self, requests: F64) -> F64:
        return np.asarray(np.bincount(self._cluster, requests, self.clusters), dtype=np.float64)

    def _interval(self, sampled: Sampled) -> Interval:
        return skewed_interval(sampled.value, sampled.error, sampled.influence, level=self._bootstrap.level)
