"""The limits of the service: what it answers for, how much it takes, how long it waits."""

from __future__ import annotations

from pydantic import Field

from segments.config import Settings


class ServeSettings(Settings):
    """One service."""

    indices: tuple[str, ...] = Field(min_length=1, description="names that may be searched; every other one is 404")
    surface: str = Field(default="search", description="of requests that name none")
    text_floor: float = Field(
        default=0.0, ge=0, lt=1, description="typed text: share of the best hit's relevance a hit needs; 0: none"
    )
    body_bytes: int = Field(default=1 << 20, ge=1, description="longest body")
    deepest: int = Field(default=10_000, ge=1, description="last place of a list that may be asked for")
    events_at_once: int = Field(default=1000, ge=1, description="most events of one request")
    events_ahead_seconds: float = Field(default=300.0, ge=0, description="how far a client's clock may be ahead")
    threads: int = Field(default=16, ge=1, description="requests that are worked on at once")
    waiting: int = Field(default=64, ge=0, description="requests that may wait for a thread; more are 503")
    timeout_seconds: float = Field(default=5.0, gt=0, description="of one request, reading its body included")
