"""What the nights come to: figures by variant with intervals over the seeds, lifts, regret, new items, ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.loop.newcomers import Newcomers
from spark_jobs.loop.run import Kept, day_file
from spark_jobs.loop.settings import ORACLE, WHOLE, LoopSettings
from spark_jobs.sources.world_truth import Floats

# What was published of the product this one follows.
PUBLISHED = {
    "B2 over A": {"clicks_per_user": 0.43, "ctr": 0.18},
    "B0 over M": {"clicks_per_user": 0.161},
    "two_tower B0 over M": {"clicks_per_user": 0.112},
}
RATES: dict[str, tuple[str, str]] = {
    "clicks_per_user": ("clicks", "users"), "honest_clicks_per_user": ("honest_clicks", "users"),
    "ctr": ("clicks", "shown"), "purchases_per_user": ("purchases", "users"), "lures": ("lures", "shown"),
    "repeats": ("repeats", "shown"), "close": ("close", "shown"), "coverage": ("coverage", "nights"),
    "entropy": ("entropy", "nights"), "regret": ("regret", "requests"),
}  # fmt: skip
ENDS = 8
Report = dict[str, Any]


class Run:
    """The nights of some seeds under one name.

    Args:
        folders: of the seeds, with one file a day.
        settings: of the loop.
    """

    def __init__(self, folders: Sequence[Path], settings: LoopSettings) -> None:
        self.settings = settings
        days = range(settings.warmup_days, settings.warmup_days + settings.nights)
        self.seeds = [[Kept.read(day_file(folder, day)) for day in days] for folder in folders]
        self.variants = list(self.seeds[0][0].figures)

    def rate(self, variant: str, name: str, *, nights: slice = slice(None)) -> list[float]:
        """A rate of a variant, one number a seed, over some nights."""
        return [_rate([kept.figures[variant] for kept in seed[nights]], name) for seed in self.seeds]

    def by_night(self, variant: str, name: str) -> list[list[float]]:
        """The same by night: (nights, seeds)."""
        return [self.rate(variant, name, nights=slice(n, n + 1)) for n in range(self.settings.nights)]

    def newcomers(self, variant: str) -> Newcomers:
        """How a variant treats new items."""
        return Newcomers([np.stack([kept.new[variant] for kept in seed]) for seed in self.seeds])


def summary(runs: Mapping[str, Run]) -> Report:
    """The report.

    Args:
        runs: by name; `whole` is there, ablations may be.

    Returns:
        `variants` (variant → rate → value, low, high over the seeds), `lifts` (with what was published),
        `reached` ((variant − A) / (oracle − A) in clicks per user), `regret` (of B2, first and last nights), `new`
        (variant → how fast new items find their place), `ablations` (B2's rates and their difference to `whole`, paired
        by seed), `nights` (variant → rate → by night, one number a seed).
    """
    whole = runs[WHOLE]
    served = [name for name in whole.variants if name != ORACLE]
    return {
        "seeds": len(whole.seeds),
        "variants": {
            variant: {name: _told(whole.rate(variant, name)) for name in RATES} for variant in whole.variants
        },
        "reached": _reached(whole),
        "lifts": _lifts(runs),
        "segments": {
            f"B2 over {other}": _told(_lift(whole.rate("B2", "clicks_per_user"), whole.rate(other, "clicks_per_user")))
            for other in ("B0", "B") if {other, "B2"} <= set(served)
        },
        "regret": {variant: _regret(whole, variant) for variant in served},
        "new": {variant: whole.newcomers(variant).report() for variant in served},
        "ablations": {name: _ablation(whole, run) for name, run in runs.items() if name != WHOLE},
        "nights": {
            variant: {name: whole.by_night(variant, name) for name in RATES} for variant in whole.variants
        },
    }  # fmt: skip


def _rate(nights: Sequence[Mapping[str, float]], name: str) -> float:
    above, below = RATES[name]
    sums = {key: float(sum(one[key] for one in nights)) for key in nights[0]}
    sums |= {"nights": float(len(nights)), "regret": sums["best"] - sums["expected"]}
    # Users are the bucket's, the same every night: clicks per user and night.
    return sums[above] / max(sums[below], 1.0)


def _told(values: Sequence[float]) -> dict[str, float]:
    return asdict(mean_interval(values))


def _lift(values: Sequence[float], of: Sequence[float]) -> list[float]:
    return [one / other - 1.0 for one, other in zip(values, of, strict=True)]


def _reached(run: Run) -> dict[str, dict[str, float]]:
    if "A" not in run.variants:
        return {}
    low, high = np.array(run.rate("A", "clicks_per_user")), np.array(run.rate(ORACLE, "clicks_per_user"))
    found = {}
    for variant in run.variants:
        if variant not in {"A", ORACLE}:
            own: Floats = np.array(run.rate(variant, "clicks_per_user"))
            found[variant] = _told(((own - low) / (high - low)).tolist())
    return found


def _lifts(runs: Mapping[str, Run]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for told, published in PUBLISHED.items():
        *of, one, _, other = told.split()
        run = runs.get(of[0] if of else WHOLE)
        if run is not None and {one, other} <= set(run.variants):
            lifts = {name: _told(_lift(run.rate(one, name), run.rate(other, name))) for name in published}
            found[told] = {**lifts, "published": published}
    return found


def _regret(run: Run, variant: str) -> dict[str, dict[str, float]]:
    ends = min(ENDS, run.settings.nights // 2)
    first = run.rate(variant, "regret", nights=slice(0, ends))
    last = run.rate(variant, "regret", nights=slice(run.settings.nights - ends, None))
    return {"first": _told(first), "last": _told(last), "fall": _told(np.subtract(first, last).tolist())}


def _ablation(whole: Run, run: Run) -> dict[str, Any]:
    """B2 (or the last variant) without something, on the seeds that both have."""
    served = [name for name in run.variants if name != ORACLE]
    variant, paired = served[-1], len(run.seeds)
    found = {}
    for name in RATES:
        own = run.rate(variant, name)
        found[name] = {"own": _told(own), "lost": _told(np.subtract(whole.rate(variant, name)[:paired], own).tolist())}
    return {"variant": variant, "seeds": paired, **found, "new": run.newcomers(variant).report()}
