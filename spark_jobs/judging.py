"""Judges scores by the visits after the clock: one protocol for the step `evaluate` and for experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spark_jobs.evaluation.judge import Contestant, Judge, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from segments.catalogue import Catalogue
    from spark_jobs.evaluation.bootstrap import Interval
    from spark_jobs.outcome_arrays import Outcomes

CUT = 20
PRODUCT_RATE = "product_rate"
YARDSTICKS = ("A", PRODUCT_RATE, "B0")


class Judging:
    """Contestants one after the other, on the same visits and the same resamples of users.

    A name heard several times (a model trained from several seeds) is reported by the mean of its figures; resample by
    resample the mean is taken too, so intervals and differences are of that mean.

    Args:
        outcomes: what happened after the clock.
        seed: of the resamples; the same seed and visits give the same resamples, so figures of two runs are paired.

    Attributes:
        possible: whether there is anything to judge by: a click, and two users.
        verdicts: name → each hearing's verdict.
        calibrations: name → each hearing's predicted and observed click rate.
    """

    def __init__(self, outcomes: Outcomes, *, seed: int) -> None:
        self.outcomes = outcomes
        self.verdicts: dict[str, list[Verdict]] = {}
        self.calibrations: dict[str, list[dict[str, float]]] = {}
        visits = outcomes.visits
        self.possible = visits.click_visit.size > 0 and len(outcomes.users) > 1
        self._judge = Judge(visits, visit_user=outcomes.visit_user, item_class=outcomes.item_class,
                            classes=outcomes.classes, candidates=outcomes.candidates, k=CUT,
                            seed=seed) if self.possible else None  # fmt: skip

    def hear(self, name: str, contestant: Contestant, *, calibration: bool = False) -> None:
        """Judges one contestant; `calibration` also compares its mean score with the click rate."""
        if self._judge is None:
            return
        self.verdicts.setdefault(name, []).append(self._judge.judge(contestant))
        if calibration:
            self.calibrations.setdefault(name, []).append(_calibration(self.outcomes, contestant))

    def hear_product_rate(self) -> None:
        """Judges the yardstick everybody has: each item's own smoothed past rate."""
        outcomes = self.outcomes
        rows = np.zeros(outcomes.visits.list_of.size, dtype=np.int64)
        self.hear(PRODUCT_RATE, Contestant(outcomes.product_rate[None, :], rows))

    def report(self) -> dict[str, Any]:
        """Counts, `metrics` by name (figures, `intervals`, `differences`, `departments`) and `calibration` by name.

        Where nothing can be judged both are empty, and `reason` says why.
        """
        visits = self.outcomes.visits
        facts: dict[str, Any] = {
            "visits": int(visits.list_of.size),
            "users": len(self.outcomes.users),
            "clicks": int(visits.click_visit.size),
            "clicks_outside_their_list": visits.outside,
            "impressions": int(visits.size.sum()),
            "candidates": self.outcomes.candidates,
        }
        judge = self._judge
        if judge is None:
            reason = "no clicks after the clock, or fewer than two users: nothing to judge"
            return {**facts, "metrics": {}, "calibration": {}, "reason": reason}
        verdicts = {name: _mean(heard) for name, heard in self.verdicts.items()}
        metrics: dict[str, dict[str, Any]] = {}
        for name, verdict in verdicts.items():
            metrics[name] = {
                **verdict.values,
                "intervals": {key: [i.low, i.high] for key, i in judge.intervals(verdict).items()},
                "differences": {
                    other: {key: _triple(i) for key, i in judge.differences(verdict, verdicts[other]).items()}
                    for other in YARDSTICKS
                    if other in verdicts and other != name
                },
            }
            if "A" in verdicts:
                metrics[name]["departments"] = judge.by_department(verdict, verdicts["A"])
        calibration = {name: _means(heard) for name, heard in self.calibrations.items()}
        return {**facts, "metrics": metrics, "calibration": calibration}


def rows_by_visit(
    outcomes: Outcomes, catalogue: Catalogue, *, variant: str, segments: Sequence[str]
) -> NDArray[np.int64]:
    """(visits,) row of a variant's grid that serves each visit: its user's segment at the clock, else `all`.

    Args:
        outcomes: the visits.
        catalogue: the run's segments.
        variant: whose chain of families is walked.
        segments: names of the grid's rows, `all` among them.
    """
    row = {name: place for place, name in enumerate(segments)}
    chosen = [catalogue.resolve(outcomes.segments_of.get(user, {}), variant) for user in outcomes.users]
    of_user = np.array([row.get(segment, row["all"]) for segment in chosen], dtype=np.int64)
    return np.asarray(of_user[outcomes.visit_user])


def _calibration(outcomes: Outcomes, contestant: Contestant) -> dict[str, float]:
    """Mean predicted over mean observed on every (visit, item) pair with a score, and how many pairs have one."""
    predicted = pairs = clicks = 0.0
    for segment, items, count, rows, _ in outcomes.visits.groups(contestant.segment_of):
        score = contestant.grid[segment, items]
        scored = np.isfinite(score)
        predicted += count * float(score[scored].sum())
        pairs += count * int(scored.sum())
        clicks += int(scored[outcomes.visits.click_at[rows]].sum())
    return {
        "mean_predicted": predicted / max(pairs, 1),
        "mean_observed": clicks / max(pairs, 1),
        "ratio": predicted / clicks if clicks else float("nan"),
        "scored_share": pairs / max(float(outcomes.visits.size.sum()), 1.0),
    }


def _mean(verdicts: Sequence[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]
    first = verdicts[0]
    return Verdict(
        _means([verdict.values for verdict in verdicts]),
        {key: np.mean([v.samples[key] for v in verdicts], axis=0) for key in first.samples},
        {name: _means([v.departments[name] for v in verdicts]) for name in first.departments},
        {
            name: {key: np.mean([v.department_samples[name][key] for v in verdicts], axis=0) for key in samples}
            for name, samples in first.department_samples.items()
        },
    )


def _means(values: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([value[key] for value in values])) for key in values[0]}


def _triple(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]
