"""How big the generated world is, and what is planted in it."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field as Setting

from segments.config import Settings


class WorldSettings(Settings):
    """Size and planted truth of the generated world."""

    kind: Literal["world"] = "world"
    seed: int = Setting(default=7, ge=0)
    start: date = Setting(default=date(2026, 1, 5), description="first day of events, UTC")
    days: int = Setting(default=42, ge=1, description="days of events from `start`; there is nothing after them")
    users: int = Setting(default=2000, ge=1)
    products: int = Setting(default=1000, ge=1)
    banners: int = Setting(default=40, ge=0)
    brands: int = Setting(default=24, ge=2)
    categories: int = Setting(default=8, ge=1, description="category lists; each product stands in one")
    requests_per_user_day: float = Setting(default=0.5, gt=0, le=20, description="expected, of each user")
    page: int = Setting(default=12, ge=1, description="products shown by one request")
    banner_slots: int = Setting(default=3, ge=0, description="banners shown by one request, above its products")
    click_rate: float = Setting(default=0.06, gt=0, lt=0.5, description="of a middling item in the first position")
    position_decay: float = Setting(default=0.5, ge=0, description="clicks fall with position ** -position_decay")
    taste: float = Setting(
        default=3.0,
        ge=1,
        description="a segment clicks a brand up to so much more or less: a multiplier from 1 / taste to taste",
    )
    personal_taste: float = Setting(default=1.5, ge=1, description="click multiplier of a user for two own brands")
    grade_taste: float = Setting(default=1.3, ge=1, description="click multiplier of a grade for its third of prices")
    drift_days: int = Setting(default=0, ge=0, description="tastes move on to the next brand so often; 0: never")
    drift_at_once: bool = Setting(
        default=True, description="all brands move on the same day; false: one after another, spread over drift_days"
    )
    lure_share: float = Setting(default=0.02, ge=0, lt=0.5, description="products clicked and then left at once")
    lure_click: float = Setting(default=4.0, ge=1, description="click multiplier of a lure")
    new_share: float = Setting(default=0.1, ge=0, le=0.9, description="products that first appear during the days")
    sold_out_share: float = Setting(default=0.05, ge=0, le=0.9, description="products that sell out during the days")
    vector_width: int = Setting(default=64, ge=2, description="numbers in an item's vector")
    partitions: int = Setting(default=0, ge=0, description="Spark tasks that generate; 0: Spark's choice. Same rows")
