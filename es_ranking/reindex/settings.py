"""How fast a reindex goes, how long it may keep owners out, and how much of it is compared."""

from __future__ import annotations

from pydantic import Field as Setting

from es_ranking.publish.settings import BlockSettings


class ReindexSettings(BlockSettings):
    """What an operator chooses for one reindex."""

    requests_per_second: float | None = Setting(
        default=None, gt=0.0, description="documents the engine copies a second; none: as fast as it can"
    )
    slices: int | None = Setting(
        default=None, ge=1, le=1024, description="parts that are copied side by side; none: one a shard"
    )
    sample: int = Setting(default=1_000, ge=0, le=10_000, description="documents compared whole before the switch")
