"""Stores that are unequal in data: one model for all, a model each, or a shared model with a small part each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from segments.errors import Refused
from spark_jobs.evaluation.ranking import UserSums, gauc_sums, visit_sums
from spark_jobs.evaluation.sampled import place_clicks
from spark_jobs.evaluation.simplest import Entrant, simplest
from spark_jobs.fields import FieldSchema
from spark_jobs.models.correction import fit_correction
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Doubles, Examples, joined
from spark_jobs.models.settings import ModelSettings
from spark_jobs.models.training import fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings

Way = Literal["unified", "mixture", "individual"]
WAYS: tuple[Way, ...] = ("unified", "mixture", "individual")
FEWEST_ROWS = 200
FEWEST_CLICKS = 10


@dataclass(frozen=True)
class Unit:
    """A store's (department's, surface's) own examples. Attributes: train, valid: cut by time."""

    train: Examples
    valid: Examples

    @property
    def usable(self) -> bool:
        """Enough to train a model of its own on."""
        clicks = float(self.train.label.sum())
        return len(self.train) >= FEWEST_ROWS and FEWEST_CLICKS <= clicks < len(self.train)


def choose_ways(
    units: Mapping[str, Unit],
    schema: FieldSchema,
    *,
    models: Mapping[str, ModelSettings],
    training: TrainingSettings,
    ways: Sequence[Way] = WAYS,
    metrics: Sequence[str] = ("hit_ratio@20", "ndcg@20"),
    strength: float = 1.0,
    on_stage: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Chooses for each unit by its later examples.

    Args:
        units: by name.
        schema: the fields.
        models: by name.
        training: the loop's settings; the epoch is chosen by nobody: all epochs are run, for every way alike.
        ways: which to compare.
        metrics: what the choice is by: `gauc`, or `hit_ratio@k`, `recall@k`, `ndcg@k`, `mrr@k` with one k.
        strength: of the mixture's prior.
        on_stage: told what begins.

    Returns:
        Unit → `chosen` (`model/way`), `evidence`, `examples`, `clicks`, `judged_clicks`; `reason` and the unified way
        of the smallest model where a unit has too few users to judge by.

    Raises:
        Refused: no units.
    """
    if not units:
        raise Refused("there are no examples to choose by")
    train = joined([unit.train for unit in units.values()])
    logits: dict[str, dict[str, Doubles]] = {name: {} for name in units}
    size: dict[str, dict[str, int]] = {name: {} for name in units}
    for model, settings in models.items():
        on_stage(f"{model}, one for all")
        shared = fit(settings, Encoder(schema), train=train, valid=None, settings=training)
        for name, unit in units.items():
            scored = score_examples(shared, unit.valid)
            if "unified" in ways:
                logits[name][f"{model}/unified"], size[name][f"{model}/unified"] = scored, shared.model.size
            if "mixture" in ways and len(unit.train):
                own = fit_correction(score_examples(shared, unit.train), unit.train, shared.encoder, strength=strength)
                key = f"{model}/mixture"
                logits[name][key], size[name][key] = scored + own(unit.valid), shared.model.size + own.parameters
            if "individual" in ways and unit.usable:
                on_stage(f"{model}, {name} alone")
                alone = fit(settings, Encoder(schema), train=unit.train, valid=None, settings=training)
                key = f"{model}/individual"
                # What it takes over one model for all: a whole model more.
                logits[name][key] = score_examples(alone, unit.valid)
                size[name][key] = shared.model.size + alone.model.size
    return {
        name: {
            **_choice(unit.valid, logits[name], size[name], metrics, training.seed),
            "examples": len(unit.train),
            "clicks": int(unit.train.label.sum()),
            "judged_clicks": int(unit.valid.label.sum()),
        }
        for name, unit in units.items()
    }


def _choice(
    valid: Examples, logits: Mapping[str, Doubles], size: Mapping[str, int], metrics: Sequence[str], seed: int
) -> dict[str, Any]:
    _, user = np.unique(valid.user, return_inverse=True)
    users = int(user.max(initial=-1)) + 1
    if users < 2 or not valid.label.any():
        smallest = min(size, key=size.__getitem__)
        return {"chosen": smallest, "evidence": {}, "reason": "no clicks, or fewer than two users, to judge by"}
    entrants = [
        Entrant(name, size[name], sums_of(valid, found, user, users, metrics)) for name, found in logits.items()
    ]
    return simplest(entrants, users=users, metrics=metrics, seed=seed)


def sums_of(examples: Examples, logits: Doubles, user: Any, users: int, metrics: Sequence[str]) -> dict[str, UserSums]:
    """Each metric's sums by user, by expected places in the whole lists."""
    placed = place_clicks(examples.label, logits, examples.group, 1.0 / examples.rate)
    visits, visit = np.unique(examples.group, return_inverse=True)
    visit_user = np.zeros(visits.size, dtype=np.int64)
    visit_user[visit] = user
    click_visit = visit[placed.row]
    found = {"gauc": gauc_sums(placed.beaten, visit_user[click_visit], users)}
    for cut in {int(metric.partition("@")[2]) for metric in metrics if "@" in metric}:
        found |= visit_sums(placed.place, click_visit, visit_user, k=cut, users=users)
    return {metric: found[metric] for metric in metrics}
