"""Judges the scores frozen at the clock by what happened after it: every variant, the same visits, intervals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from segments.catalogue import Catalogue
from segments.whole import write_whole
from spark_jobs.evaluation.judge import Contestant
from spark_jobs.judging import CUT, Judging, rows_by_visit
from spark_jobs.models.run_folder import finite
from spark_jobs.outcome_arrays import Outcomes, read_outcomes

if TYPE_CHECKING:
    from spark_jobs.night import Night


def run(night: Night) -> dict[str, object]:
    """Writes `evaluation/metrics.json` of the run: by kind of item and variant, see `docs/evaluation.md`."""
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    report: dict[str, Any] = {"run": night.run, "cut": CUT, "kinds": {}}
    for kind, shelf in sorted(night.recipe.shelves.items()):
        outcomes = read_outcomes(night.warehouse, night.run, as_of=night.as_of, kind=kind)
        report["kinds"][kind] = _judge_kind(night, outcomes, catalogue, seed=shelf.training.seed)
    path = night.folder("evaluation") / "metrics.json"
    write_whole(path, json.dumps(finite(report), indent=1))
    return {"kinds": {kind: {key: values[key] for key in ("visits", "clicks", "users") if key in values}
                      for kind, values in report["kinds"].items()}, "file": str(path)}  # fmt: skip


def _judge_kind(night: Night, outcomes: Outcomes, catalogue: Catalogue, *, seed: int) -> dict[str, Any]:
    """Hears each variant, one grid in memory at a time, and the product rate."""
    judging = Judging(outcomes, seed=seed)
    for variant, recipe in night.recipe.variants.items() if judging.possible else ():
        # A bandit on counts alone ranks by its draws; what a model says is judged as it says it.
        table = "draws" if recipe.scorer == "counts" else "scores"
        grid, names = outcomes.grid(night.warehouse, night.run, variant=variant, table=table)
        if names:
            rows = rows_by_visit(outcomes, catalogue, variant=variant, segments=names)
            judging.hear(variant, Contestant(grid, rows), calibration=recipe.scorer == "model")
    judging.hear_product_rate()
    return judging.report()


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("evaluate", run)


if __name__ == "__main__":
    main()
