"""Pins reserve their slots: merchandisers decide that an item stands at a place, whatever its score.

A pinned item must match the query's own filters (else its slot is free), stands nowhere else in the list, and counts
as a neighbour for the gaps of the items around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from es_ranking.twiddlers.contract import Configured, Entry, Facts, Hit, Piece
from segments.config import Settings


class Pin(Settings):
    """One item at one slot."""

    item: str = Field(description="item id")
    slot: int = Field(ge=1, description="place in the list, counted from 1")
    campaign: str = Field(default="", description="who wants it, for the reason")


class PinsSettings(Configured):
    """The pins of a surface."""

    of_the_page: ClassVar[bool] = True
    kind: Literal["pins"] = "pins"
    pins: tuple[Pin, ...] = Field(description="which item stands at which slot")

    @model_validator(mode="after")
    def _once(self) -> PinsSettings:
        for what, values in (("item", [p.item for p in self.pins]), ("slot", [str(p.slot) for p in self.pins])):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} pinned twice: {', '.join(twice)}")
        return self

    def build(self, facts: Facts) -> Pins:
        """The twiddler for one query."""
        return Pins(self, facts.pinned)


class Pins:
    """Reserves the slots of those pins that match the query.

    Args:
        settings: the pins.
        matching: the pinned items that match the query's filters, by item id.
    """

    stage: ClassVar[str] = "pins"

    def __init__(self, settings: PinsSettings, matching: Mapping[str, Hit]) -> None:
        self.by_slot = {pin.slot - 1: matching[pin.item] for pin in settings.pins if pin.item in matching}
        self.items = {hit.item_id for hit in self.by_slot.values()}
        self.campaigns = {pin.slot - 1: f" by {pin.campaign}" for pin in settings.pins if pin.campaign}

    @property
    def idle(self) -> bool:
        return not self.by_slot

    def reach(self, wanted: int) -> int:
        # every pinned item leaves a hole where it stood
        return wanted + len(self.items)

    def begin(self) -> _Reserving:
        slots = {slot: Entry(hit, hit.score) for slot, hit in sorted(self.by_slot.items())}
        for slot, entry in slots.items():
            entry.reasons[self.stage] = f"pinned at {slot + 1}{self.campaigns.get(slot, '')}"
            entry.places[self.stage] = slot + 1
        return _Reserving(slots)


class _Reserving:
    """One list: pinned hits stand at their slots and nowhere else."""

    def __init__(self, slots: dict[int, Entry]) -> None:
        self.slots = slots
        self.pinned = {entry.hit.item_id: entry for entry in slots.values()}

    def feed(self, piece: Piece, wanted: int) -> Piece:
        free = []
        for entry in piece.entries:
            pinned = self.pinned.get(entry.hit.item_id)
            if pinned is None:
                free.append(entry)
            else:
                # where it would stand, and why, if it were not pinned
                pinned.score = entry.score
                pinned.places = entry.places | pinned.places
                pinned.reasons = entry.reasons | pinned.reasons
        return replace(piece, entries=free, slots=self.slots)
