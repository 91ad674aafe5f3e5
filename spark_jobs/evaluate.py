"""Judges the scores frozen at the clock by what happened after it: every variant, the same visits, intervals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from segments.catalogue import Catalogue
from spark_jobs.evaluation.judge import Contestant, Judge, Verdict
from spark_jobs.outcome_arrays import Outcomes, read_outcomes

if TYPE_CHECKING:
    from spark_jobs.evaluation.bootstrap import Interval
    from spark_jobs.night import Night

CUT = 20
YARDSTICKS = ("A", "product_rate", "B0")


def run(night: Night) -> dict[str, object]:
    """Writes `evaluation/metrics.json` of the run: by kind of item and variant, see `docs/evaluation.md`."""
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    report: dict[str, Any] = {"run": night.run, "cut": CUT, "kinds": {}}
    for kind, shelf in sorted(night.recipe.shelves.items()):
        outcomes = read_outcomes(night.warehouse, night.run, as_of=night.as_of, kind=kind)
        report["kinds"][kind] = _judge_kind(night, outcomes, catalogue, seed=shelf.training.seed)
    path = night.folder("evaluation") / "metrics.json"
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(_plain(report), indent=1), encoding="utf-8")
    fresh.replace(path)
    return {"kinds": {kind: {key: values[key] for key in ("visits", "clicks", "users") if key in values}
                      for kind, values in report["kinds"].items()}, "file": str(path)}  # fmt: skip


def _judge_kind(night: Night, outcomes: Outcomes, catalogue: Catalogue, *, seed: int) -> dict[str, Any]:
    visits = outcomes.visits
    facts: dict[str, Any] = {
        "visits": int(visits.list_of.size),
        "users": len(outcomes.users),
        "clicks": int(visits.click_visit.size),
        "clicks_outside_their_list": visits.outside,
        "impressions": int(visits.size.sum()),
        "candidates": outcomes.candidates,
    }
    if not facts["clicks"] or len(outcomes.users) < 2:
        return {
            **facts,
            "metrics": {},
            "reason": "no clicks after the clock, or fewer than two users: nothing to judge",
        }
    judge = Judge(visits, visit_user=outcomes.visit_user, item_class=outcomes.item_class, classes=outcomes.classes,
                  candidates=outcomes.candidates, k=CUT, seed=seed)  # fmt: skip
    verdicts: dict[str, Verdict] = {}
    calibration: dict[str, dict[str, float]] = {}
    for name, contestant in _contestants(night, outcomes, catalogue):
        verdicts[name] = judge.judge(contestant)
        if name in night.recipe.variants and night.recipe.variants[name].scorer == "model":
            calibration[name] = _calibration(outcomes, contestant)
    metrics = {}
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
    return {**facts, "metrics": metrics, "calibration": calibration}


def _contestants(night: Night, outcomes: Outcomes, catalogue: Catalogue) -> Any:
    """(name, contestant) of each variant, one grid in memory at a time, and of the product rate."""
    visits = outcomes.visits
    for variant, recipe in night.recipe.variants.items():
        # A bandit on counts alone ranks by its draws; what a model says is judged as it says it.
        table = "draws" if recipe.scorer == "counts" else "scores"
        grid, names = outcomes.grid(night.warehouse, night.run, variant=variant, table=table)
        row = {name: i for i, name in enumerate(names)}
        if not row:
            continue
        chosen = [catalogue.resolve(outcomes.segments_of.get(user, {}), variant) for user in outcomes.users]
        of_user = np.array([row.get(segment, row["all"]) for segment in chosen], dtype=np.int64)
        yield variant, Contestant(grid, of_user[outcomes.visit_user])
    rate = outcomes.product_rate[None, :]
    yield "product_rate", Contestant(rate, np.zeros(visits.list_of.size, dtype=np.int64))


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


def _triple(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def _plain(value: Any) -> Any:
    """JSON has no NaN: what could not be measured is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("evaluate", run)


if __name__ == "__main__":
    main()
