"""The whole verdict on a run: every variant's metrics on the same visits, with intervals and paired differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.evaluation.bootstrap import Interval, PairedBootstrap
from spark_jobs.evaluation.diversity import centrality_ratio, coverage, entropy
from spark_jobs.evaluation.pooled import pooled_auc
from spark_jobs.evaluation.ranking import UserSums, gauc_sums, visit_sums
from spark_jobs.evaluation.visits import Visits, judge_clicks

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Contestant:
    """A variant as it is judged.

    Attributes:
        grid: (segments, items) scores, -inf where there is none.
        segment_of: (visits,) row of the grid that serves each visit.
    """

    grid: F64
    segment_of: I64


@dataclass(frozen=True)
class Verdict:
    """One contestant's figures and their resamples, so that two can be compared."""

    values: dict[str, float]
    samples: dict[str, F64]
    departments: dict[str, dict[str, float]]
    department_samples: dict[str, dict[str, F64]]


class Judge:
    """Judges contestants on the same visits with the same resamples of users.

    Args:
        visits: lists and clicks.
        visit_user: (visits,) user of each visit.
        item_class: (items,) department of each item, 0, 1, …
        classes: names of the departments.
        candidates: items that could be shown.
        k: cut of the visit metrics and of what counts as shown.
        draws: bootstrap resamples.
        seed: of the resamples.
    """

    def __init__(
        self, visits: Visits, *, visit_user: I64, item_class: I64, classes: list[str], candidates: int,
        k: int = 20, draws: int = 1000, seed: int = 0,
    ) -> None:  # fmt: skip
        self.visits, self.user, self.kind, self.classes = visits, visit_user, item_class, classes
        self.users = int(visit_user.max(initial=-1)) + 1
        self.candidates, self.k = candidates, k
        self.bootstrap = PairedBootstrap(self.users, draws=draws, seed=seed)

    def judge(self, contestant: Contestant) -> Verdict:
        """All figures of one contestant."""
        clicks = judge_clicks(self.visits, contestant.grid, contestant.segment_of, self.kind)
        pooled = pooled_auc(
            self.visits, contestant.grid, contestant.segment_of, visit_user=self.user, users=self.users, k=self.k
        )
        click_user = self.user[self.visits.click_visit]
        sums = {"gauc": gauc_sums(clicks.beaten, click_user, self.users)}
        sums |= visit_sums(clicks.place, self.visits.click_visit, self.user, k=self.k, users=self.users)
        values = {name: of.value for name, of in sums.items()} | {"auc": pooled.auc}
        samples = {name: self.bootstrap.ratios(of) for name, of in sums.items()}
        samples["auc"] = self.bootstrap.linear(pooled.auc, pooled.influence)
        shown = pooled.shown[pooled.shown >= 0]
        counts = np.bincount(shown, minlength=contestant.grid.shape[1]).astype(np.float64)
        for name, measure in (("coverage", coverage), ("entropy", entropy), ("centrality_ratio", centrality_ratio)):
            values[name] = measure(counts, self.candidates)
            samples[name] = self._spread(measure, pooled.shown, values[name], counts.size)
        departments = {}
        department_samples = {}
        kind = self._click_class()
        for number, name in enumerate(self.classes):
            rows = np.flatnonzero(kind == number)
            if not rows.size:
                continue
            of = self._department(clicks.class_place[rows], clicks.class_beaten[rows], rows)
            departments[name] = {key: value.value for key, value in of.items()} | {"clicks": float(rows.size)}
            department_samples[name] = {key: self.bootstrap.ratios(value) for key, value in of.items()}
        return Verdict(values, samples, departments, department_samples)

    def intervals(self, verdict: Verdict) -> dict[str, Interval]:
        """The interval of every figure."""
        return {name: self.bootstrap.interval(verdict.values[name], verdict.samples[name]) for name in verdict.values}

    def differences(self, verdict: Verdict, than: Verdict) -> dict[str, Interval]:
        """How much higher each figure is than another contestant's, resampled together."""
        return {
            name: self.bootstrap.difference(
                verdict.values[name], verdict.samples[name], than=(than.values[name], than.samples[name])
            )
            for name in verdict.values
        }

    def by_department(self, verdict: Verdict, than: Verdict) -> dict[str, dict[str, Any]]:
        """Each department's figures, and its gAUC's difference with its interval."""
        report: dict[str, dict[str, Any]] = {}
        for name, values in verdict.departments.items():
            gap = self.bootstrap.difference(
                values["gauc"], verdict.department_samples[name]["gauc"],
                than=(than.departments[name]["gauc"], than.department_samples[name]["gauc"]),
            )  # fmt: skip
            report[name] = {**values, "gauc_difference": [gap.value, gap.low, gap.high]}
        return report

    def _department(self, place: I64, beaten: F64, rows: I64) -> dict[str, UserSums]:
        visit = self.visits.click_visit[rows]
        sums = {"gauc": gauc_sums(beaten, self.user[visit], self.users)}
        return sums | visit_sums(place, visit, self.user, k=self.k, users=self.users)

    def _click_class(self) -> I64:
        lists = self.visits.list_of[self.visits.click_visit]
        return np.asarray(self.kind[self.visits.list_items[self.visits.list_start[lists] + self.visits.click_at]])

    def _spread(self, measure: Any, shown: I64, value: float, items: int, draws: int = 50) -> F64:
        """Resamples of a diversity figure, moved to its value: a resample repeats users and so shows fewer items."""
        out = []
        for weight in self.bootstrap.weights[:draws]:
            repeated = np.repeat(weight[self.user], shown.shape[1])
            flat = shown.ravel()
            there = flat >= 0
            out.append(measure(np.bincount(flat[there], repeated[there], items), self.candidates))
        samples = np.asarray(out, dtype=np.float64)
        resized = np.resize(samples, self.bootstrap.weights.shape[0])
        return np.asarray(resized + (value - samples.mean()))
