"""How a night's ranks become a generation: batches, gates, retention, and what the why index keeps."""

from __future__ import annotations

from typing import Any

from pydantic import Field as Setting

from segments.config import Settings


class GateSettings(Settings):
    """Limits that a generation must hold before it may serve; None switches a gate off."""

    min_coverage: float | None = Setting(
        default=0.99, ge=0.0, le=1.0, description="smallest share of available documents that carry each rank field"
    )
    min_distinct_scores: int | None = Setting(
        default=2, ge=1, description="fewest different scores a rank field may have (one score orders nothing)"
    )
    min_overlap: float | None = Setting(
        default=0.05,
        ge=0.0,
        le=1.0,
        description="smallest share of the serving generation's top that must stay in the top",
    )
    overlap_top: int = Setting(default=100, ge=1, le=10_000, description="how many first places the overlap compares")
    max_unseen: float | None = Setting(
        default=0.5, ge=0.0, le=1.0, description="largest share of documents whose ids the serving generation lacks"
    )
    min_calibration: float | None = Setting(default=0.5, gt=0.0, description="smallest predicted over observed rate")
    max_calibration: float | None = Setting(default=2.0, gt=0.0, description="largest predicted over observed rate")
    max_ece: float | None = Setting(
        default=0.5, gt=0.0, description="largest expected calibration error, as a share of the click rate"
    )
    max_segments_off: float | None = Setting(
        default=0.5, ge=0.0, le=1.0, description="largest share of segments whose predicted rate is shown to be off"
    )
    max_lure_ratio: float | None = Setting(
        default=2.0,
        ge=1.0,
        description="how many times as many or as few items may be called lures as in what serves",
    )


class BlockSettings(Settings):
    """How long owners, who write to what serves, may be kept out before the switch."""

    max_block_seconds: float = Setting(
        default=10.0, gt=0.0, description="longest time owners' writes are refused before the switch is put off"
    )
    rounds: int = Setting(default=5, ge=1, description="tries to bring what owners write within that time")


class PublishSettings(BlockSettings):
    """How a generation is written, checked, kept and retired."""

    shards: int = Setting(default=1, ge=1, le=1024, description="primary shards of a generation's index")
    replicas: int = Setting(
        default=0, ge=0, le=16, description="replicas once the generation serves (none while loading)"
    )
    refresh_interval: str = Setting(default="1s", description="refresh interval once the generation serves")
    batch_documents: int = Setting(default=2_000, ge=1, description="documents a bulk request")
    batch_megabytes: float = Setting(default=8.0, gt=0.0, description="size at which a bulk request is sent, MB")
    max_retries: int = Setting(default=8, ge=0, description="retries of a document the engine was too busy for (429)")
    backoff_seconds: float = Setting(default=0.5, ge=0.0, description="first pause after a 429; doubles each time")
    max_backoff_seconds: float = Setting(default=30.0, ge=0.0, description="longest pause between two tries")
    max_refused_share: float = Setting(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="share of documents the engine may refuse before the publish is refused",
    )
    keep_generations: int = Setting(
        default=2, ge=1, description="generations kept to roll back to, the serving one included"
    )
    why_places: int = Setting(
        default=200, ge=0, description="first places of each list whose reasons are kept; 0: none"
    )
    delta_below: float = Setting(
        default=0.4,
        ge=0.0,
        le=1.0,
        description="an index begins as a copy of the serving one if less than this share of it differs; 0: never",
    )
    raise_field_limit: bool = Setting(
        default=False, description="raise index.mapping.total_fields.limit when the rank fields do not fit"
    )
    field_limit: int = Setting(default=1_000, ge=10, description="index.mapping.total_fields.limit of a generation")
    min_disk_free_share: float = Setting(
        default=0.05, ge=0.0, lt=1.0, description="share of the engine's disk that must stay free after the publish"
    )
    keyword_attributes: tuple[str, ...] = Setting(
        default=(), description="item attributes that queries filter by: mapped as keyword fields of the same name"
    )
    analysis: dict[str, Any] = Setting(
        default={}, description="analysers of a generation's index, as in the engine's settings under `analysis`"
    )
    properties: dict[str, Any] = Setting(
        default={}, description="fields laid over ours, as in the engine's mappings: another analyser, further fields"
    )
    index_rank_fields: bool = Setting(
        default=True, description="points for rank fields: sorted reads skip what cannot win, at the price of disk"
    )
    gates: GateSettings = GateSettings()
