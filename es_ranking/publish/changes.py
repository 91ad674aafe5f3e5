"""Whether a new generation may begin as a copy of the one that serves, index by index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.catch_up import written_since
from es_ranking.publish.generation import Published
from es_ranking.publish.meta import GenerationMeta
from es_ranking.publish.settings import PublishSettings
from es_ranking.schema import flat_settings


@dataclass(frozen=True)
class Changes:
    """How many documents of an index differ from those of the generation that serves."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0

    @property
    def put(self) -> int:
        """Documents to write into a copy."""
        return self.added + self.changed

    @property
    def before(self) -> int:
        """Documents of the generation that serves, as far as what was compared knows."""
        return self.changed + self.removed + self.same

    @property
    def share(self) -> float:
        """Documents that a copy would have written or taken away, of all in either generation."""
        moved = self.put + self.removed
        return moved / (moved + self.same) if moved else 0.0


Compare = Callable[[Published, Sequence[str]], Mapping[str, Changes]]
"""Given the serving generation and ids of what owners have written into it: alias → what differs, of the indices whose
documents are known exactly. What owners have written is like nothing the tables know: changed, or removed."""


def hindrance(
    engine: Engine,
    meta: GenerationMeta,
    mapping: Mapping[str, Any],
    *,
    now: Published,
    found: Iterable[Published],
    settings: PublishSettings,
) -> str:
    """Why no copy of the serving generation could become the new one; empty if one could.

    Args:
        meta, mapping: of the new generation.
        now: what serves.
        found: all generations of the alias.
    """
    if settings.delta_below == 0.0:
        return "publish.delta_below is 0"
    if now.meta.run == meta.run:
        return "a run published again is written anew"
    if any(now.generation < other.generation and not other.half for other in found):
        return "the serving generation was rolled back to"
    if now.meta.rank_fields != meta.rank_fields:
        return "the rank fields are others"
    if now.meta.space != meta.space:
        return "the item vectors are new"
    (state,) = engine.indices(now.generation.index)
    if int(state.settings.get("index.number_of_shards", 1)) != settings.shards:
        return "the number of shards is another"
    if state.mapping.get("properties") != mapping["properties"]:
        return "the mapping is another"
    if _analysis(state.settings) != _analysis(flat_settings({"index": {"analysis": settings.analysis}})):
        return "the analysers are others"
    if not now.meta.settled:
        return "what owners have written into it is not known"
    return ""


def compared(
    engine: Engine, now: Published, compare: Compare, settings: PublishSettings
) -> tuple[Mapping[str, Changes], str]:
    """What differs from what serves, and why no more of it can be told."""
    engine.refresh(now.generation.index)
    most = int(settings.delta_below * now.meta.documents)
    written = written_since(engine, now.generation.index, now.meta.settled, whole=False)
    owned = [doc_id for doc_id, _ in islice(written, most + 1)]
    if len(owned) > most:
        return {}, "owners have written too much into it"
    known = compare(now, owned)
    main = known.get(now.generation.alias)
    if main is not None and main.before != engine.count(now.generation.index):
        # Who deletes leaves nothing to find, and a copy would lack what the tables have.
        return {}, "owners have deleted documents of it"
    return known, f"run {now.meta.run} cannot be compared with"


def _analysis(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value).lower() for name, value in settings.items() if name.startswith("index.analysis.")}


def cloned(known: Mapping[str, Changes], settings: PublishSettings) -> dict[str, Changes]:
    """The indices that little enough changes in to begin as copies."""
    return {alias: changes for alias, changes in known.items() if changes.share < settings.delta_below}
