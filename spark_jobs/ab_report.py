"""What came of an A/B test: every metric of every variant against the control, over all, by segment and by day."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.errors import Refused, UsageError
from segments.teams import VERSUS
from spark_jobs.ab_logs import BEFORE, AbLogs, read_ab_logs
from spark_jobs.evaluation.ab.effect import Cells, Effect, effect
from spark_jobs.evaluation.ab.resampled import resampled
from spark_jobs.evaluation.ab.sequential import always_valid, always_valid_p
from spark_jobs.evaluation.ab.soundness import UNSOUND, holm, sample_ratio_p
from spark_jobs.evaluation.bootstrap import Interval
from spark_jobs.evaluation.diversity import centrality_ratio, coverage, entropy
from spark_jobs.models.run_folder import finite

F64 = NDArray[np.float64]

UNIT = "units"
# metric → numerator, denominator (units: one a user, or a view where requests are cut), covariate from before
METRICS: dict[str, tuple[str, str, str | None]] = {
    "ctr": ("clicks", "shown", "clicks_before"),
    "clicks_per_user": ("clicks", UNIT, "clicks_before"),
    "click_conversion_rate": ("clicked_views", "views", "clicks_before"),
    "orders_per_user": ("orders", UNIT, "sales_before"),
    "sales_per_user": ("sales", UNIT, "sales_before"),
    "margin_per_user": ("margin", UNIT, "sales_before"),
    "saves_per_user": ("saves", UNIT, "clicks_before"),
    "dwell_seconds_per_user": ("dwell_seconds", UNIT, "clicks_before"),
    "scroll_depth": ("seen", "lists", None),
    "product_diversity": ("items", "shown", None),
    "brand_diversity": ("brands", "shown", None),
}
# Not every shop's logs tell of these.
PERHAPS = ("margin_per_user", "scroll_depth", "brand_diversity")
TREND = ("ctr", "clicks_per_user")
MOST_SEGMENTS = 50


def report(
    exposures: Path, events: Path, experiment: str, *, control: str, unit: str = "user", items: Path | None = None,
    scale: float = 0.05, before_days: int = 14, window_days: int = 7, candidates: int | None = None, draws: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The report of an experiment; keys stand in docs/ab-tests.md.

    Args:
        exposures, events, items, before_days, window_days: see `read_ab_logs`.
        experiment: its name.
        control: the variant that the others are compared with.
        unit: what was cut, `user` or `request`.
        scale: relative effect hoped for, of the always-valid intervals; chosen before the test.
        candidates: how many items could have been shown; those that were, otherwise.
        draws: resamples of users, for an interval of each plain difference that trusts no formula; 0: none.

    Raises:
        UsageError, ContractBroken, Refused: see `read_ab_logs`; one variant alone, an unknown control.
    """
    from spark_jobs.session import spark_session

    if not 0 < scale < math.inf:
        raise UsageError(f"not a relative effect: {scale:g}", where="--effect", hint="0.05")
    spark = spark_session("es-ranking experiment")
    logs = read_ab_logs(
        spark, exposures, events, experiment, items=items, before_days=before_days, window_days=window_days
    )  # fmt: skip
    return judge(logs, experiment, control=control, unit=unit, scale=scale, candidates=candidates, draws=draws)


def judge(
    logs: AbLogs, experiment: str, *, control: str, unit: str = "user", scale: float = 0.05,
    candidates: int | None = None, draws: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The report of logs that were read."""
    if len(logs.variants) < 2:
        paired = "es-ranking experiment interleaving compares its two" if VERSUS in logs.variants[0] else None
        raise Refused(
            f"only variant {logs.variants[0]} was shown: there is nothing to compare", where=experiment, hint=paired
        )
    if control not in logs.variants:
        raise UsageError.unknown("control", control, logs.variants, where=experiment)
    order = [control, *(name for name in logs.variants if name != control)]
    whole = _Summed(logs, order, unit)
    names = [name for name, (of, _, _) in METRICS.items() if name not in PERHAPS or logs.counts[of].any()]
    split = _split(logs, whole, order)
    crossed = whole.crossed if unit == "user" else 0
    segments = _largest(logs)
    told = {
        "experiment": experiment,
        "control": control,
        "unit": unit,
        "from": logs.days[0],
        "to": logs.days[-1],
        "users": len(logs.users),
        **split,
        "variants": {
            name: _totals(whole, number) | _diversity(logs.shown.get(name), candidates or logs.candidates)
            for number, name in enumerate(order)
        },
        "metrics": {name: _compared(whole, name, order, scale, draws=draws) for name in names},
        "by_segment": {
            segment: {name: _compared(part, name, order, scale) for name in TREND}
            for segment, part in ((one, _Summed(logs, order, unit, segment=one)) for one in segments)
        },
        "by_day": [_of_day(logs, order, unit, day, scale) for day in range(len(logs.days))],
        "forced_views": logs.forced,
        "refused": logs.refused,
        "warnings": _warnings(logs, split["sample_ratio"]["p"], crossed, whole.cells.user.size),
    }
    return {name: finite(value) for name, value in told.items()}


class _Summed:
    """The rows of one user, epoch and variant, summed over days and segments: those up to a day, or of a segment."""

    def __init__(
        self, logs: AbLogs, order: list[str], unit: str, *, segment: str | None = None, days: range | None = None
    ) -> None:
        rows = np.ones(logs.user.size, dtype=bool)
        if segment is not None:
            rows &= logs.segment == logs.segments.index(segment)
        if days is not None:
            rows &= (logs.day >= days.start) & (logs.day < days.stop)
        arm_of = np.array([order.index(name) for name in logs.variants], dtype=np.int64)
        arm = arm_of[logs.variant[rows]]
        epochs, epoch = np.unique(logs.epoch[rows], return_inverse=True)
        key = (logs.user[rows] * epochs.size + epoch) * len(order) + arm
        unique, first, place = np.unique(key, return_index=True, return_inverse=True)
        self.cells = Cells(logs.user[rows][first], epochs[epoch[first]], arm[first])
        self.sums: dict[str, F64] = {}
        for name, values in logs.counts.items():
            # a covariate is the user's, not the day's
            taken = values[rows]
            totals = np.bincount(place, taken, unique.size).astype(np.float64)
            self.sums[name] = taken[first] if name in BEFORE else totals
        self.sums[UNIT] = np.ones(unique.size) if unit == "user" else self.sums["views"]
        self.crossed = int(np.count_nonzero(np.unique(unique // len(order), return_counts=True)[1] > 1))

    def effect(self, metric: str, arm: int) -> Effect | None:
        y, x, before = METRICS[metric]
        covariate = None if before is None or not self.sums[before].any() else self.sums[before]
        return effect(self.cells, self.sums[y], self.sums[x], arm=arm, before=covariate)


def _compared(summed: _Summed, metric: str, order: list[str], scale: float, *, draws: int = 0) -> dict[str, Any]:
    found = {name: summed.effect(metric, arm) for arm, name in enumerate(order) if arm}
    told = {name: _told(each, scale) for name, each in found.items() if each is not None}
    for name in told if draws else ():
        y, x, _ = METRICS[metric]
        drawn = resampled(summed.cells, summed.sums[y], summed.sums[x], arm=order.index(name), draws=draws)
        told[name]["resampled"] = _bounds(drawn)
    for key in ("p", "always_valid_p"):
        for name, corrected in zip(told, holm([told[name][key] for name in told]), strict=True):
            told[name][f"{key}_holm"] = corrected
    return told


def _told(found: Effect, scale: float) -> dict[str, Any]:
    hoped = scale * abs(found.control)
    known = hoped > 0.0
    always = always_valid(found.difference, found.variance, scale=hoped) if known else None
    return {
        "control": found.control,
        "value": found.value,
        "difference": _bounds(found.interval()),
        "relative": _bounds(found.relative_interval()) if found.control else None,
        "p": found.p,
        "always_valid": _bounds(always) if always is not None and math.isfinite(always.low) else None,
        "always_valid_p": always_valid_p(found.difference, found.variance, scale=hoped) if known else 1.0,
        "users": found.users,
        "explained": found.explained,
    }


def _split(logs: AbLogs, whole: _Summed, order: list[str]) -> dict[str, Any]:
    epochs = np.unique(whole.cells.epoch)
    counts = np.array([
        [whole.sums[UNIT][(whole.cells.epoch == epoch) & (whole.cells.arm == arm)].sum() for arm in range(len(order))]
        for epoch in epochs
    ])  # fmt: skip
    shares = np.array([[logs.shares.get((int(epoch), name), 0.0) for name in order] for epoch in epochs])
    p = sample_ratio_p(counts, shares)
    return {
        "epochs": [
            {
                "epoch": int(epoch),
                "shares": {name: float(share) for name, share in zip(order, shares[place], strict=True)},
                "units": {name: int(count) for name, count in zip(order, counts[place], strict=True)},
            }
            for place, epoch in enumerate(epochs)
        ],
        "sample_ratio": {"p": p, "sound": not p < UNSOUND},
    }


def _totals(whole: _Summed, arm: int) -> dict[str, Any]:
    rows = whole.cells.arm == arm
    totals = {name: float(whole.sums[name][rows].sum()) for name in ("views", "shown", "clicks", "orders", "sales")}
    return {"users": int(np.unique(whole.cells.user[rows]).size), **totals}


def _diversity(shown: F64 | None, candidates: int) -> dict[str, float]:
    counted = np.zeros(0) if shown is None else shown
    return {
        "coverage": coverage(counted, candidates),
        "entropy": entropy(counted, candidates),
        "centrality_ratio": centrality_ratio(counted, candidates),
    }


def _of_day(logs: AbLogs, order: list[str], unit: str, day: int, scale: float) -> dict[str, Any]:
    """The day's own values, and what was known of the test at its end."""
    alone = _Summed(logs, order, unit, days=range(day, day + 1))
    so_far = _Summed(logs, order, unit, days=range(day + 1))
    values = {}
    for arm, name in enumerate(order):
        rows = alone.cells.arm == arm
        values[name] = {
            metric: float(alone.sums[y][rows].sum() / below) if (below := alone.sums[x][rows].sum()) else None
            for metric, (y, x, _) in METRICS.items()
            if metric in TREND
        }
    return {
        "day": logs.days[day],
        "values": values,
        "so_far": {metric: _compared(so_far, metric, order, scale) for metric in TREND},
    }


def _largest(logs: AbLogs) -> list[str]:
    views = np.bincount(logs.segment, logs.counts["views"], len(logs.segments))
    return [logs.segments[place] for place in np.argsort(-views, kind="stable")[:MOST_SEGMENTS]]


def _warnings(logs: AbLogs, p: float, crossed: int, cells: int) -> list[str]:
    said = []
    if p < UNSOUND:
        said.append(f"the split is not the one that was ordered (p = {p:.1g}): find out why before you read on")
    if crossed:
        said.append(
            f"{crossed} of {cells} users saw several variants within one epoch; with --unit request that is meant"
        )
    said += [f"{rows} rows of the {name} cannot be used" for name, rows in logs.refused.items() if rows]
    if not logs.counts["clicks"].any():
        said.append("no click at all: does the event log belong to these exposures?")
    if len(logs.segments) > MOST_SEGMENTS:
        said.append(f"{len(logs.segments)} segments: the {MOST_SEGMENTS} with the most views are shown")
    return said


def _bounds(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
