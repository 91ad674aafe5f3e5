"""A small change as a generation of its own: a copy of the serving indices, changed, checked and switched to at once.

The engine copies an index by linking its files, so the copy costs nothing that grows with the documents; only what
changed is written. Everything a whole publish promises holds: visible at once or not at all, gates, counts, roll back.
See docs/decisions/0013-hourly-deltas-are-generations.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish.catch_up import writes_between
from es_ranking.publish.generation import WAS, generations, next_generation, served, users_alias, why_alias
from es_ranking.publish.plan import PublishPlan, refuse_older
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.write import swept
from es_ranking.schema import count_fields
from segments.errors import Refused

_DOCUMENT_BYTES = 2_000


def plan_delta(
    engine: Engine,
    alias: str,
    *,
    run: str,
    as_of: str,
    written: int,
    added: int,
    removed: int,
    content: str = "",
) -> PublishPlan:
    """What bringing the serving generation up to date would do. Changes nothing.

    Args:
        written: documents that will be put, new ones included.
        added: of these, how many the serving generation lacks.
        removed: documents that will be taken away.
        content: checksum of the documents, see `GenerationMeta`; of the reasons there is none, an hour does not write
            the place of those that only made room.

    Raises:
        IndexMissing: nothing is published under the alias.
        Refused: a generation as new as this one, or newer, serves already.
    """
    now = served(engine, alias)
    found = generations(engine, alias)
    generation = next_generation(found, alias, run)
    refuse_older(generation, now)
    index = now.generation.index
    since = engine.checkpoints(index)
    engine.refresh(index)
    meta = replace(
        now.meta, generation=generation.id, run=run, number=generation.number, as_of=as_of,
        documents=engine.count(index) + added - removed, night=now.meta.night or now.meta.run,
        content={**now.meta.content, why_alias(alias): "", alias: content},
    )  # fmt: skip
    (state,) = engine.indices(index)
    ranks = sum(len(segments) for segments in meta.rank_fields.values())
    disk = engine.disk()
    body = {
        "settings": {"index.number_of_replicas": 0, "index.refresh_interval": "-1"},
        "mappings": {"_meta": meta.to_meta()},
    }
    users = engine.count(now.generation.users_index)
    return PublishPlan(
        generation=generation.id,
        alias=alias,
        run=run,
        number=generation.number,
        replaces=now.generation.id,
        why=f"{written} documents to put and {removed} to take away since {now.generation.id}",
        documents=meta.documents,
        users=users,
        fields=count_fields(state.mapping),
        field_limit=int(state.settings.get("index.mapping.total_fields.limit", 1000)),
        rank_fields=ranks,
        bytes_needed=written * _DOCUMENT_BYTES,
        bytes_free=None if disk is None else disk.free,
        seconds=1,
        indices=generation.indices,
        sweeps=tuple(p.generation.id for p in found if p.half and not p.serving and p.generation < generation),
        # Whole nights stay: what was rolled back to yesterday must be there today, however many hours lie between.
        retires=tuple(p.generation.id for p in found if p.meta.night and not p.half and not p.serving),
        bodies=dict.fromkeys((alias, why_alias(alias), users_alias(alias)), body),
        clones=dict(now.generation.indices),
        was=generation.index + WAS,
        since=since,
        unsure=writes_between(now.meta.ours, since),
    )


def delete_documents(engine: Engine, target: str, ids: Iterable[str], *, settings: PublishSettings) -> int:
    """Takes documents away by id; one that is not there counts as taken away, so it may be repeated.

    Args:
        target: private alias of the generation being written.

    Raises:
        Refused: the engine would not delete, or the generation was swept away by a newer publish.
        EngineBusy, EngineUnreachable: the engine's state; the caller aborts the generation.
    """
    if not engine.get_alias(target):
        raise swept(target)
    count = 0
    for batch in _batches(list(ids), settings.batch_documents):
        result = engine.bulk([BulkAction(target, doc_id, None, "delete") for doc_id in batch])
        if result.errors:
            first = result.errors[0]
            raise Refused(f"the engine would not delete {first.id}: {first.reason}", where=target, hint="run again")
        count += len(batch)
    return count


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
