"""When an item is called a lure, and how far down it goes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from segments.config import Settings


class LureSettings(Settings):
    """The first lure filter of one shelf."""

    follow: Literal["engagement", "buying_again", "off"] = Field(
        default="engagement",
        description="what should follow a click: engagement (dwell, like, save, cart, purchase of that item by that "
        "user), or, where a click is itself a purchase, buying it again in a later visit and selling without "
        "promotion; off: nothing is called a lure",
    )
    follow_days: int = Field(default=28, ge=1, description="days after a click in which something may follow it")
    dwell_ms: int = Field(default=10_000, ge=1, description="a dwell at least this long follows the click")
    window_days: int = Field(default=364, ge=1, description="days of behaviour before the clock that are looked at")
    threshold: float = Field(default=0.9, gt=0, le=1, description="an item at least this probably a lure is moved")
    top_n: int = Field(default=100, ge=1, description="lures leave the first N places of their list and of the whole")
    prior_share: float = Field(default=0.02, gt=0, lt=0.5, description="share of lures expected before looking")
    drop: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="what follows a lure's click happens at most this fraction as often as its peers'",
    )
    lift: float = Field(default=2.0, ge=1, description="a lure's click rate is about this multiple of its peers'")
