"""Many trials from one file: a sweep (grid or search) over an experiment's settings, an ablation over its fields.

A trial has one seed and is known by what it tries: the digest of everything settled is part of its name, so that a
sweep that is run again finds what it has finished, and a changed file never takes an old result for its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from segments.config import Settings
from segments.errors import UsageError
from spark_jobs.experiment_settings import FOLDER, Experiment, FieldChanges, Trial
from spark_jobs.recipe import Recipe

PARTS = ("model", "training", "fields")
# What came after the clock never chooses: a winner chosen by it would be flattered by it.
Choosing = Annotated[
    Literal["gauc", "auc", "logloss"], Setting(description="what chooses, on the last days before the clock")
]


class Space(Settings):
    """Where a search may look for one setting: a range, or choices."""

    low: float | None = None
    high: float | None = None
    log: bool = Setting(default=False, description="look on a logarithmic scale")
    integer: bool = Setting(default=False, description="whole numbers only")
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ranged = self.low is not None and self.high is not None and self.low < self.high
        if ranged == bool(self.choices):
            raise ValueError("give `low` and a higher `high`, or `choices`")
        return self


class Search(Settings):
    """A search by Optuna (the extra `tuning`)."""

    space: dict[str, Space] = Setting(min_length=1, description="setting → where to look, such as model.dim")
    trials: int = Setting(default=20, ge=1, description="settings to try; each is trained once a seed")
    batch: int = Setting(default=2, ge=1, description="settings proposed together, before the next are known")
    seed: int = Setting(default=0, description="of the proposals")


class Sweep(Settings):
    """What a sweep's file says."""

    name: str = Setting(default="sweep", pattern=FOLDER, description="folder of the results")
    base: Experiment = Experiment()
    grid: dict[str, tuple[Any, ...]] = Setting(default={}, description="setting → values, such as model.dim: [8, 16]")
    search: Search | None = None
    metric: Choosing = "gauc"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.grid and self.search:
            raise ValueError("a sweep is a `grid` or a `search`, not both")
        return self

    def cells(self) -> list[dict[str, Any]]:
        """Every combination of the grid, in the file's order; one empty one without a grid."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]

    def trials_of(self, cell: Mapping[str, Any], recipe: Recipe) -> list[Trial]:
        """One trial a seed with a cell's settings in place of the base's."""
        return _by_seed(Trial.of(_changed(self.base, cell), recipe, name="trial"), _words(cell))


class Ablation(Settings):
    """What an ablation's file says: an experiment, and its fields without some."""

    name: str = Setting(default="ablation", pattern=FOLDER, description="folder of the results")
    base: Experiment = Experiment()
    sets: dict[str, FieldChanges] = Setting(default={}, description="name → changes to the experiment's fields")
    groups: dict[str, tuple[str, ...]] = Setting(default={}, description="name → fields to leave out together")
    each: bool | None = Setting(
        default=None, description="leave out each field by itself; not given: where there are no sets and no groups"
    )
    metric: Choosing = "gauc"

    def trials(self, recipe: Recipe) -> dict[str, list[Trial]]:
        """Set → its trials, one a seed; the first set, `all`, is the experiment as it is.

        Raises:
            UsageError: a field that the experiment does not have, or a set that leaves none.
        """
        whole = Trial.of(self.base, recipe, name="trial")
        changes = {"all": FieldChanges(), **self.sets}
        changes |= {f"without-{name}": FieldChanges(drop=fields) for name, fields in self.groups.items()}
        if self.each or (self.each is None and not self.sets and not self.groups):
            for field in whole.schema.fields:
                changes.setdefault(f"without-{field.name}", FieldChanges(drop=(field.name,)))
        return {
            name: _by_seed(replace(whole, schema=change.applied(whole.schema)), name)
            for name, change in changes.items()
        }


def _slug(text: str) -> str:
    """A readable name of at most 40 characters that can be a folder's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:40] or "base"


def _words(cell: Mapping[str, Any]) -> str:
    return "_".join(f"{key.rpartition('.')[2]}={value}" for key, value in cell.items())


def _by_seed(trial: Trial, words: str) -> list[Trial]:
    content = trial.experiment().model_copy(update={"name": None, "seeds": ()}).to_yaml()
    digest = hashlib.blake2b(content.encode(), digest_size=4).hexdigest()
    return [replace(trial, name=f"{_slug(words)}-{digest}-s{seed}", seeds=(seed,)) for seed in trial.seeds]


def _changed(base: Experiment, cell: Mapping[str, Any]) -> Experiment:
    values: dict[str, Any] = base.model_dump()
    for key, value in cell.items():
        part, _, name = key.partition(".")
        if part not in PARTS or not name:
            raise UsageError(f"a sweep cannot set {key!r}", where="grid", hint="model.dim, fields.drop")
        values[part] = {**values[part], name: value}
    return Experiment.of(values, where="sweep")
