"""A/B buckets without a database: who gets which variant is a pure function of user, salt and the table of slots.

A salted stable hash puts each user into one of 1,000 slots; variants own slots. Changing the ratios moves the fewest
slots that give the new ratios, so nobody changes variant without need. Two experiments with different salts cut the
users independently of each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from segments.config import Settings
from segments.errors import UsageError
from segments.hashing import hash64
from segments.teams import teams_of

SLOTS = 1000


def slot_of(user: str, *, salt: str) -> int:
    """The slot of a user, 0 … 999: `hash64("slot", salt, user) mod 1000`.

    >>> slot_of("u1", salt="ranking"), slot_of("u2", salt="ranking")
    (829, 277)
    """
    return hash64("slot", salt, user) % SLOTS


class Experiment(Settings):
    """Which variant owns which slot."""

    name: str = Field(min_length=1, max_length=100, description="as exposures and reports name it")
    salt: str = Field(min_length=1, max_length=100, description="another salt cuts the users anew")
    control: str = Field(min_length=1, description="the variant that the others are compared with")
    owners: tuple[str, ...] = Field(description="variant of each of the 1,000 slots; `A+B2`: both, interleaved")
    unit: Literal["user", "request"] = Field(default="user", description="whose id is put into a slot")
    layer: str = Field(default="", max_length=100, description="experiments of one layer never share a user")
    surfaces: tuple[str, ...] = Field(default=(), max_length=100, description="only on these; empty: on all")
    forced: dict[str, str] = Field(
        default={}, max_length=1000, description="user → variant, for testers; not part of any statistics"
    )
    killed: bool = Field(default=False, description="everybody gets the control, and nothing is counted")
    epoch: int = Field(default=1, ge=1, description="a new number whenever who gets what has changed")

    @model_validator(mode="after")
    def _every_slot_owned(self) -> Self:
        if len(self.owners) != SLOTS:
            raise ValueError(f"{SLOTS} slots need {SLOTS} owners, not {len(self.owners)}")
        try:
            for variant in {*self.owners, *self.forced.values()}:
                teams_of(variant)
        except UsageError as error:
            raise ValueError(str(error)) from error
        if len(teams_of(self.control)) > 1:
            raise ValueError(f"the control is one variant, not {self.control!r}")
        return self

    def ratios(self) -> dict[str, float]:
        """The share of each variant that owns a slot."""
        return ratios_of(self.owners)


class Assignment(Settings):
    """What somebody gets.

    Attributes:
        share: of the variant among the slots; 0 where he was not put there by his slot.
        forced: chosen by hand: the statistics leave him out.
    """

    variant: str
    slot: int
    share: float
    forced: bool = False


def assign(unit: str, experiment: Experiment, *, user: str | None = None) -> Assignment:
    """The variant of a user or request; the same in every process and on every machine.

    Args:
        unit: the id that is put into a slot.
        experiment: see there.
        user: who may be forced, where the unit is another.
    """
    slot = slot_of(unit, salt=experiment.salt)
    if experiment.killed:
        return Assignment(variant=experiment.control, slot=slot, share=0.0)
    tester = experiment.forced.get(user or unit)
    if tester is not None:
        return Assignment(variant=tester, slot=slot, share=0.0, forced=True)
    variant = experiment.owners[slot]
    return Assignment(variant=variant, slot=slot, share=experiment.owners.count(variant) / SLOTS)


def ratios_of(owners: Sequence[str]) -> dict[str, float]:
    """The share of each owner of slots, by name.

    >>> ratios_of(["A", "B", "A", "A"])
    {'A': 0.75, 'B': 0.25}
    """
    return {owner: slots / len(owners) for owner, slots in sorted(Counter(owners).items())}


def moved(before: Sequence[str], after: Sequence[str]) -> int:
    """How many slots change their owner."""
    return sum(one != other for one, other in zip(before, after, strict=True))


def allocate(ratios: Mapping[str, float], *, previous: Sequence[str] | None = None) -> tuple[str, ...]:
    """Owners of the slots for given ratios, moving as few slots as possible away from `previous`.

    A variant that must shrink gives up the slots with the largest hash of (variant, slot); free slots go to the
    variants that must grow, in the order of their names. Ratios are relative: 1 and 1 are half each.

    Args:
        ratios: variant → weight, not negative, one at least above 0.
        previous: the owners now; None for a new experiment.

    Raises:
        UsageError: no variant, a negative or infinite weight, or nothing but zeros.
    """
    target = _shares(ratios)
    owners: list[str | None] = list(previous) if previous is not None else [None] * SLOTS
    if len(owners) != SLOTS:
        raise UsageError(f"{SLOTS} slots need {SLOTS} owners, not {len(owners)}")
    for variant in {owner for owner in owners if owner is not None}:
        held = [slot for slot in range(SLOTS) if owners[slot] == variant]
        held.sort(key=lambda slot: hash64("release", variant, str(slot)))
        for slot in held[target.get(variant, 0) :]:
            owners[slot] = None
    free = [slot for slot in range(SLOTS) if owners[slot] is None]
    free.sort(key=lambda slot: hash64("take", str(slot)))
    wanted = Counter(target) - Counter(owner for owner in owners if owner is not None)
    takers = [variant for variant in sorted(wanted) for _ in range(wanted[variant])]
    for slot, variant in zip(free, takers, strict=True):
        owners[slot] = variant
    return tuple(str(owner) for owner in owners)


def _shares(ratios: Mapping[str, float]) -> dict[str, int]:
    """Whole slots by variant: largest remainders, ties by name."""
    if any(not 0 <= weight < float("inf") for weight in ratios.values()) or sum(ratios.values()) <= 0:
        raise UsageError(f"not ratios: {dict(ratios)}", hint="one weight a variant, none negative, not all zero")
    total = sum(Fraction(weight) for weight in ratios.values())
    exact = {variant: Fraction(weight) * SLOTS / total for variant, weight in ratios.items()}
    whole = {variant: int(share) for variant, share in exact.items()}
    spare = SLOTS - sum(whole.values())
    for variant in sorted(exact, key=lambda name: (whole[name] - exact[name], name))[:spare]:
        whole[variant] += 1
    return whole
