"""The document of an alias's experiments, and which of them decides a list.

A unit (user or request) meets, in this order: an experiment that forces it; the hold-out; the slots of the layer, which
belong to at most one experiment; the slots of that experiment, which belong to variants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from segments.assign import SLOTS, Experiment, assign, slot_of
from segments.config import Settings
from segments.teams import VERSUS

HOLD_OUT = "hold-out"
NOBODY = ""


class Layer(Settings):
    """Which experiment owns which slot: experiments of one layer never share a unit."""

    name: str = Field(min_length=1, max_length=100)
    salt: str = Field(min_length=1, max_length=100)
    owners: tuple[str, ...] = Field(description="experiment of each of the 1,000 slots; empty: none of them")


class HoldOut(Settings):
    """Users who are in no experiment: what all experiments together have come to is seen beside them."""

    salt: str = Field(default=HOLD_OUT, min_length=1, max_length=100)
    slots: int = Field(default=0, ge=0, le=SLOTS, description="slots 0 … this - 1 are held out")
    variant: str | None = Field(
        default=None, pattern=rf"^[^{VERSUS}]+$", description="the one they get; None: the index's default"
    )


@dataclass(frozen=True)
class Bucket:
    """What an experiment decides for a list, as exposures carry it.

    Args:
        experiment: None: nothing is counted (it is killed).
        variant: None: the surface's, or the index's default.
        epoch: of the experiment.
        share: probability with which this unit got this variant in this epoch; 0 where forced or killed.
        forced: chosen by hand.
    """

    experiment: str | None
    variant: str | None
    epoch: int = 0
    share: float = 0.0
    forced: bool = False


class Experiments(Settings):
    """All experiments of an alias."""

    hold_out: HoldOut = HoldOut()
    layers: tuple[Layer, ...] = Field(default=(), max_length=50)
    experiments: tuple[Experiment, ...] = Field(default=(), max_length=50)
    past: dict[str, int] = Field(
        default_factory=dict, description="ended experiment → its last epoch: one of the same name counts on from there"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for what, names in (
            ("layers", [one.name for one in self.layers]),
            ("experiments", [one.name for one in self.experiments]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what} have one name: {', '.join(twice)}")
        layers = {layer.name: layer for layer in self.layers}
        for experiment in self.experiments:
            if experiment.name in {HOLD_OUT, NOBODY}:
                raise ValueError(f"an experiment cannot be called {experiment.name!r}")
            if experiment.layer and experiment.layer not in layers:
                raise ValueError(f"experiment {experiment.name!r} is of an unknown layer {experiment.layer!r}")
        for layer in self.layers:
            members = [one for one in self.experiments if one.layer == layer.name]
            if len(layer.owners) != SLOTS or not set(layer.owners) <= {NOBODY, *(one.name for one in members)}:
                raise ValueError(f"the {SLOTS} slots of layer {layer.name!r} belong to its own experiments, or to none")
            if len({one.unit for one in members}) > 1:
                raise ValueError(f"experiments of layer {layer.name!r} cut by different units")
        for number, one in enumerate(self.experiments):
            for other in self.experiments[:number]:
                apart = one.surfaces and other.surfaces and not set(one.surfaces) & set(other.surfaces)
                if not apart and not (one.layer and one.layer == other.layer):
                    raise ValueError(
                        f"experiments {other.name!r} and {one.name!r} meet on a surface: put them into one layer, "
                        "or on surfaces apart"
                    )
        return self

    def named(self, name: str) -> Experiment | None:
        """The experiment of this name."""
        return next((one for one in self.experiments if one.name == name), None)

    def bucket(self, surface: str, *, user: str | None, request: str | None) -> Bucket | None:
        """What decides a list of a surface; None: no experiment does."""
        here = [one for one in self.experiments if not one.surfaces or surface in one.surfaces]
        for one in here:
            if user is not None and user in one.forced and not one.killed:
                return Bucket(one.name, one.forced[user], one.epoch, forced=True)
        held = self.hold_out
        if here and user is not None and slot_of(user, salt=held.salt) < held.slots:
            return Bucket(HOLD_OUT, held.variant, share=held.slots / SLOTS)
        for one in here:
            unit = user if one.unit == "user" else request
            if unit is None or not self._inside(one, unit):
                continue
            got = assign(unit, one, user=user)
            return Bucket(None if one.killed else one.name, got.variant, one.epoch, got.share)
        return None

    def _inside(self, experiment: Experiment, unit: str) -> bool:
        for layer in self.layers:
            if layer.name == experiment.layer:
                return layer.owners[slot_of(unit, salt=layer.salt)] == experiment.name
        return True
