"""How fast a reindex goes, and how long it may keep writers out."""

from __future__ import annotations

from pydantic import Field as Setting

from segments.config import Settings


class ReindexSettings(Settings):
    """What an operator chooses for one reindex."""

    requests_per_second: float | None = Setting(
        default=None, gt=0.0, description="documents the engine copies a second; none: as fast as it can"
    )
    slices: int | None = Setting(
        default=None, ge=1, le=1024, description="parts that are copied side by side; none: one a shard"
    )
    max_block_seconds: float = Setting(
        default=10.0, gt=0.0, description="longest time writers are refused before the switch is put off"
    )
    rounds: int = Setting(default=5, ge=1, description="tries to catch up with the writers within that time")
    sample: int = Setting(default=1_000, ge=0, le=10_000, description="documents compared whole before the switch")
