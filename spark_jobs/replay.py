"""Does going on from yesterday beat standing still, and training from nothing? Days of a drifting world, replayed.

Every contestant begins with the same model of the warm-up days and sees the same logs. What each would serve on the
next day is judged by that day: by the true click rate of the first places of every list (the world's truth is known),
and by gAUC and logloss on the day's own log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from segments.whole import write_whole
from spark_jobs.evaluation.auc import gauc
from spark_jobs.evaluation.bootstrap import Interval
from spark_jobs.evaluation.calibration import logloss
from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.continual import HOUR, update
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, Tensors
from spark_jobs.models.grid import Grid
from spark_jobs.models.run_folder import finite
from spark_jobs.models.training import refit
from spark_jobs.models.watch import logits_of
from spark_jobs.recipe import Recipe
from spark_jobs.replay_settings import ReplaySettings
from spark_jobs.replayed_days import SCHEMA, Days
from spark_jobs.reporting.replay_picture import draw

CONTESTANTS = ("no_update", "nightly", "nightly_recent", "continual_daily", "continual_hourly")
FIGURES = ("ctr", "ctr_served", "gauc", "logloss")
Told = Callable[[str], None]


def replay(
    recipe: Recipe, settings: ReplaySettings, *, seeds: Sequence[int], folder: Path, on_stage: Told = lambda _: None
) -> dict[str, Any]:
    """Replays the days for each seed; writes replay.json and replay.png.

    Returns:
        `contestants` (name → figure → mean, low, high over the seeds), `differences` (of each continual one to
        `no_update`, `nightly` and `nightly_recent`, paired by seed), `best_ctr` (of the truth itself), `days`,
        `updates` (accepted and refused), `seconds`, `rows_trained`, `picture`.

    Raises:
        UsageError: the recipe's source is no generated world.
    """
    runs = [_Run(recipe, settings, seed, on_stage).run() for seed in seeds]
    report = _summary(runs, settings, seeds)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "replay.png"
    draw(report["days"], picture, drift_days=settings.drift_days)
    report["picture"] = str(picture)
    # One seed alone has no interval; JSON has no NaN.
    told: dict[str, Any] = json.loads(json.dumps(finite(report)))
    write_whole(folder / "replay.json", json.dumps(told, indent=1))
    return told


class _Run:
    """One seed."""

    def __init__(self, recipe: Recipe, settings: ReplaySettings, seed: int, told: Told) -> None:
        self.settings, self.seed, self.told = settings, seed, told
        self.shelf = recipe.shelves["product"]
        told(f"seed {seed}: the world")
        self.days = Days(settings.world(recipe, seed=seed))
        self.items, self.segments = self.days.items(), self.days.segments()
        self.training = self.shelf.training.model_copy(update={"seed": seed, "threads": 1})
        self.seconds = dict.fromkeys(CONTESTANTS, 0.0)
        self.rows = dict.fromkeys(CONTESTANTS, 0)
        self.updates: dict[str, dict[str, int]] = {name: {"accepted": 0, "refused": 0} for name in CONTESTANTS[3:]}

    def run(self) -> dict[str, Any]:
        first = self._trained(self.days.between(0, self.settings.warmup_days), "")
        serving = dict.fromkeys(CONTESTANTS, first)
        lines = []
        for day in range(self.settings.warmup_days, self.settings.warmup_days + self.settings.days):
            self.told(f"seed {self.seed}: day {day}")
            line: dict[str, Any] = {"day": day, "best_ctr": self.days.click_rate(None, day, top=self.settings.top)}
            for name in CONTESTANTS:
                line[name] = self._judged(serving[name], day)
            serving["nightly"] = self._trained(self.days.between(0, day + 1), "nightly")
            recent = self.days.between(max(0, day + 1 - self.settings.recent_days), day + 1)
            serving["nightly_recent"] = self._trained(recent, "nightly_recent")
            known = self.days.between(day - 1, day + 1)
            usual = len(self.days.between(day - 1, day)) / 24.0
            serving["continual_daily"] = self._updated("continual_daily", serving["continual_daily"], known,
                                                       usual=usual, clock=self.days.midnight(day + 1))  # fmt: skip
            hourly, rate, rates = serving["continual_hourly"], line["continual_hourly"]["ctr"], []
            for hour in range(1, 25):
                if hourly is not serving["continual_hourly"]:
                    hourly = serving["continual_hourly"]
                    rate = self._rate(hourly, day)
                rates.append(rate)
                serving["continual_hourly"] = self._updated("continual_hourly", hourly, known, usual=usual,
                                                            clock=self.days.midnight(day) + hour * HOUR)  # fmt: skip
            line["continual_hourly"]["ctr_served"] = float(np.mean(rates))
            lines.append(line)
        return {"days": lines, "seconds": self.seconds, "rows": self.rows, "updates": self.updates}

    def _trained(self, examples: Examples, name: str) -> Checkpoint:
        started = time.perf_counter()
        epochs = self.settings.retrain_epochs
        done = refit(self.shelf.model, Encoder(SCHEMA), train=examples, epochs=epochs, settings=self.training)
        if name:
            self.seconds[name] += time.perf_counter() - started
            self.rows[name] += len(examples) * epochs
        return Checkpoint(self.shelf.model, done.encoder, done.model, state=done.state)

    def _updated(self, name: str, checkpoint: Checkpoint, known: Examples, *, usual: float, clock: int) -> Checkpoint:
        started = time.perf_counter()
        settings = self.settings.daily if name == "continual_daily" else self.settings.hourly
        done = update(checkpoint, known, settings, training=self.training, clock=clock, usual_per_hour=usual)
        self.seconds[name] += time.perf_counter() - started
        self.rows[name] += int(str(done.figures["rows"])) * settings.epochs
        self.updates[name]["accepted" if done.accepted else "refused"] += 1
        return done.serving

    def _rate(self, checkpoint: Checkpoint, day: int) -> float:
        return self.days.click_rate(Grid(checkpoint).score(self.items, self.segments), day, top=self.settings.top)

    def _judged(self, checkpoint: Checkpoint, day: int) -> dict[str, float]:
        log = self.days.between(day, day + 1)
        rate = self._rate(checkpoint, day)
        neutral = logits_of(checkpoint.model, Tensors(log, checkpoint.encoder, neutral_context=True))
        placed = logits_of(checkpoint.model, Tensors(log, checkpoint.encoder))
        return {
            "ctr": rate,
            "ctr_served": rate,
            "gauc": gauc(log.label, neutral, log.group),
            "logloss": logloss(log.label, checkpoint.calibration(placed)),
        }


def _summary(runs: list[dict[str, Any]], settings: ReplaySettings, seeds: Sequence[int]) -> dict[str, Any]:
    # One figure a seed: the mean over its days.
    mean = {
        name: {figure: [float(np.mean([line[name][figure] for line in run["days"]])) for run in runs]
               for figure in FIGURES}
        for name in CONTESTANTS
    }  # fmt: skip
    differences = {
        name: {
            f"over_{other}": {figure: asdict(_paired(mean, name, other, figure)) for figure in FIGURES}
            for other in CONTESTANTS[:3]
        }
        for name in CONTESTANTS[3:]
    }
    days = [
        {
            "day": line["day"],
            "best_ctr": [run["days"][n]["best_ctr"] for run in runs],
            **{name: {figure: [run["days"][n][name][figure] for run in runs] for figure in FIGURES}
               for name in CONTESTANTS},
        }
        for n, line in enumerate(runs[0]["days"])
    ]  # fmt: skip
    return {
        "seeds": list(seeds),
        "settings": settings.model_dump(mode="json"),
        "contestants": {name: {figure: asdict(mean_interval(values)) for figure, values in mean[name].items()}
                        for name in CONTESTANTS},
        "differences": differences,
        "best_ctr": float(np.mean([line["best_ctr"] for run in runs for line in run["days"]])),
        "updates": {name: {told: sum(run["updates"][name][told] for run in runs) for told in ("accepted", "refused")}
                    for name in CONTESTANTS[3:]},
        "rows_trained": {name: sum(run["rows"][name] for run in runs) for name in CONTESTANTS},
        "seconds": {name: round(sum(run["seconds"][name] for run in runs), 2) for name in CONTESTANTS},
        "days": days,
    }  # fmt: skip


def _paired(mean: dict[str, dict[str, list[float]]], name: str, other: str, figure: str) -> Interval:
    return mean_interval(np.subtract(mean[name][figure], mean[other][figure]).tolist())
