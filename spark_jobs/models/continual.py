"""Continual learning: a checkpoint goes on from the last hours, and serves only if it is no worse where it counts.

A share of the visits, chosen by a hash of the visit that never changes, is held out of every update: neither the old
nor the new network has learnt from them in any update, so their loglosses compare fairly. (A night learns from all its
visits; where a window reaches back before it, that favours the old network, and the guard errs towards refusing.)
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segments.errors import Refused
from segments.hashing import stir
from segments.whole import write_whole
from spark_jobs.evaluation.calibration import logloss
from spark_jobs.models.activity import RULES, Activity, limit_at
from spark_jobs.models.checkpoint import Checkpoint, save
from spark_jobs.models.continual_settings import ContinualSettings
from spark_jobs.models.examples import Examples, Tensors
from spark_jobs.models.ranker import Ranker
from spark_jobs.models.run_folder import finite
from spark_jobs.models.training import continue_training
from spark_jobs.models.training_settings import TrainingSettings
from spark_jobs.models.watch import logits_of

HOUR = 3_600_000_000  # microseconds
UPDATE = "update.json"
REFUSED = "refused"


@dataclass(frozen=True)
class Update:
    """What became of an update.

    Attributes:
        serving: the checkpoint that serves from now on: the candidate, or the one from before.
        candidate: the continued one; None where there was nothing to learn from.
        figures: accepted, reason, rows, clicks, events_per_hour, multiplier, learning_rate, and on the held-out visits
            held_out_rows, held_out_clicks, logloss_before, logloss_after.
    """

    serving: Checkpoint
    candidate: Checkpoint | None
    figures: dict[str, object]

    @property
    def accepted(self) -> bool:
        return bool(self.figures["accepted"])


def held_out(group: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which rows belong to visits that no update learns from, (n,): a hash of the visit decides, for ever."""
    return np.asarray(stir(group.view(np.uint64), salt=59) % np.uint64(10_000) < np.uint64(round(share * 10_000)))


def update(
    checkpoint: Checkpoint, recent: Examples, settings: ContinualSettings, *, training: TrainingSettings, clock: int,
    usual_per_hour: float = 0.0,
) -> Update:  # fmt: skip
    """Continues a checkpoint on the last hours under the guard.

    Args:
        checkpoint: what serves, with its optimiser's state (`load(…, training=True)`).
        recent: examples; those of the window before `clock` are used.
        settings: window, rate rule and guard.
        training: the loop's; its learning rate and epochs are replaced.
        clock: microseconds since 1970; nothing at or after it is read.
        usual_per_hour: impressions an hour in the days before, for the rule.
    """
    begin = clock - round(settings.window_hours * HOUR)
    window = recent.where((recent.time >= begin) & (recent.time < clock))
    apart = held_out(window.group, settings.held_out)
    learn, judge = window.where(~apart), window.where(apart)
    per_hour = float((1.0 / window.rate).sum()) / settings.window_hours
    limit = limit_at(clock // HOUR % 24, day_from=settings.day_from, night_from=settings.night_from,
                     day_limit=settings.day_limit, night_limit=settings.night_limit)  # fmt: skip
    multiplier = RULES[settings.rule](Activity(per_hour, usual_per_hour, limit))
    figures: dict[str, object] = {
        "accepted": False, "rows": len(learn), "clicks": int(learn.label.sum()), "events_per_hour": per_hour,
        "usual_per_hour": usual_per_hour, "multiplier": multiplier,
        "learning_rate": settings.learning_rate * multiplier,
        "held_out_rows": len(judge), "held_out_clicks": int(judge.label.sum()),
    }  # fmt: skip
    if type(checkpoint.model).learner is not Ranker.learner:
        return Update(checkpoint, None, figures | {"reason": "this kind of model cannot be continued"})
    if judge.label.sum() < settings.min_clicks or judge.label.all():
        few = f"{int(judge.label.sum())} held-out clicks, {settings.min_clicks} are needed"
        return Update(checkpoint, None, figures | {"reason": few})
    loop = training.model_copy(update={"epochs": settings.epochs, "schedule": "exponential", "decay": 1.0,
                                       "warmup_steps": 0, "checkpoint_every": 0})  # fmt: skip
    try:
        fitted = continue_training(checkpoint, learn, loop, learning_rate=settings.learning_rate * multiplier)
    except Refused as error:
        return Update(checkpoint, None, figures | {"reason": error.what})
    candidate = replace(checkpoint, encoder=fitted.encoder, model=fitted.model, state=fitted.state)
    before, after = logloss_of(checkpoint, judge), logloss_of(candidate, judge)
    accepted = bool(np.isfinite(after) and after <= before * (1.0 + settings.tolerance))
    reason = "" if accepted else f"held-out logloss would rise from {before:.6f} to {after:.6f}"
    figures |= {"accepted": accepted, "reason": reason, "logloss_before": before, "logloss_after": after}
    notes = {**checkpoint.notes, "continual": {"clock": clock, **figures}}
    candidate = replace(candidate, notes=notes)
    return Update(candidate if accepted else checkpoint, candidate, figures)


def logloss_of(checkpoint: Checkpoint, examples: Examples) -> float:
    """Logloss of calibrated probabilities, context neutral, each row counted 1 / sampling rate times."""
    logits = logits_of(checkpoint.model, Tensors(examples, checkpoint.encoder, neutral_context=True))
    return float(logloss(examples.label, checkpoint.calibration(logits), 1.0 / examples.rate))


def keep(done: Update, folder: Path) -> None:
    """Writes what serves into a folder, the figures to `update.json`, a refused candidate to `refused` below it."""
    shutil.rmtree(folder / REFUSED, ignore_errors=True)
    save(done.serving, folder)
    if done.candidate is not None and not done.accepted:
        save(done.candidate, folder / REFUSED)
    write_whole(folder / UPDATE, json.dumps(finite(done.figures), indent=1))
