"""Room on the engine's disk: what a generation takes while it is written, and whether it is there."""

from __future__ import annotations

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import Published
from es_ranking.publish.settings import PublishSettings
from segments.errors import Refused

# Without a serving generation to measure: bytes of a document, and of each of its rank fields (value and point).
_DOCUMENT_BYTES, _RANK_BYTES = 700, 20
# While segments merge, old and new lie side by side.
MERGE_ROOM = 2.0


def bytes_needed(engine: Engine, now: Published | None, *, documents: int, rank_fields: int) -> int:
    """Disk that a generation takes while it is written, estimated by what serves."""
    each = float(_DOCUMENT_BYTES + _RANK_BYTES * rank_fields)
    if now is not None:
        size = engine.size(now.generation.index)
        if size.documents:
            each = max(each / 2, size.bytes / size.documents)
    return round(documents * each * MERGE_ROOM)


def checked_space(engine: Engine, needed: int, settings: PublishSettings) -> int | None:
    """Free bytes of the engine's disk, None if it does not tell.

    Raises:
        Refused: `needed` bytes do not fit beside the share that must stay free.
    """
    disk = engine.disk()
    if disk is None:
        return None
    left = disk.free - settings.min_disk_free_share * disk.total
    if needed > left:
        raise Refused(
            f"not enough disk: about {needed / 1e6:,.0f} MB needed, {max(0.0, left) / 1e6:,.0f} MB may be used",
            where=engine.url,
            hint="remove old generations or indices, or lower publish.min_disk_free_share",
        )
    return disk.free
