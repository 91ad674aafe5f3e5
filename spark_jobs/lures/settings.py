"""When an item is called a lure, and what is done with it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from segments.config import Settings


class LureAction(Settings):
    """What is done with the lures of some lists, for some segments."""

    do: Literal["sink", "cap", "multiply", "leave"] = Field(
        default="sink",
        description="sink: out of the first places of the list and of the whole shelf; cap: no more than some on each "
        "page of the list; multiply: the number they are sorted by; leave: nothing",
    )
    top_n: int = Field(default=100, ge=1, description="sink: places that are closed")
    page: int = Field(default=20, ge=1, description="cap: places of a page")
    most: int = Field(default=1, ge=1, description="cap: lures a page may have")
    factor: float = Field(default=0.5, gt=0, le=1, description="multiply: by this")
    segments: tuple[str, ...] = Field(default=(), description="only for these segments")
    lists: tuple[str, ...] = Field(
        default=(), description="only in these lists, and in those below them: `GROCERY`, `GROCERY>SOUP`"
    )

    def covers(self, segment: str, name: str) -> bool:
        """Whether it is meant for this list, as this segment sees it."""
        below = any(name == one or name.startswith(f"{one}>") for one in self.lists)
        return (not self.segments or segment in self.segments) and (not self.lists or below)


class LureSettings(Settings):
    """The lure filter of one shelf."""

    follow: Literal["engagement", "buying_again", "off"] = Field(
        default="engagement",
        description="what should follow a click: engagement (dwell, like, save, cart, purchase of that item by that "
        "user), or, where a click is itself a purchase, buying it again in a later visit and selling without "
        "promotion; off: nothing is called a lure",
    )
    follow_days: int = Field(default=28, ge=1, description="days after a click in which something may follow it")
    dwell_ms: int = Field(default=10_000, ge=1, description="a dwell at least this long follows the click")
    window_days: int = Field(default=364, ge=1, description="days of behaviour before the clock that are looked at")
    threshold: float = Field(default=0.9, gt=0, le=1, description="an item at least this probably a lure is one")
    prior_share: float = Field(default=0.02, gt=0, lt=0.5, description="share of lures expected before looking")
    drop: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="what follows a lure's click happens at most this fraction as often as its peers'",
    )
    marks: dict[str, str] = Field(
        default={}, description="further marks of titles, name: regular expression; an empty one switches a mark off"
    )
    families: tuple[str, ...] = Field(
        default=(), description="families whose segments judge by their own clicks; everybody's count for the others"
    )
    segment_trials: int = Field(
        default=50, ge=1, description="clicks that a segment needs to judge an item, and to stand for itself"
    )
    actions: tuple[LureAction, ...] = Field(
        default=(LureAction(),), description="of those that cover a list and a segment the first is done"
    )
    queue: int = Field(default=200, ge=0, description="the most suspicious items that are kept for operators to decide")

    @field_validator("marks")
    @classmethod
    def _are_patterns(cls, marks: dict[str, str]) -> dict[str, str]:
        for name, pattern in marks.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"mark {name}: no regular expression: {error}") from error
        return marks
