"""When an item is called a lure, and how far down it goes."""

from __future__ import annotations

from pydantic import Field

from segments.config import Settings


class LureSettings(Settings):
    """The first lure filter of one shelf."""

    threshold: float = Field(default=0.9, gt=0, le=1, description="an item at least this probably a lure is moved")
    top_n: int = Field(default=100, ge=1, description="lures leave the first N places of their list and of the whole")
    window_days: int = Field(default=364, ge=1, description="days of behaviour before the clock that are looked at")
    min_clicks: float = Field(default=20.0, ge=1, description="fewer clicks than this never make a lure")
    prior_share: float = Field(default=0.02, gt=0, lt=0.5, description="share of lures expected before looking")
    follow_drop: float = Field(
        default=0.35, gt=0, lt=1, description="a lure's clicks are followed up this fraction as often as its peers'"
    )
    click_lift: float = Field(
        default=1.25, ge=1, description="a lure's click rate is at least this multiple of its peers'"
    )
