"""What a publish will do, as a value: printed by `--dry-run`, stored with a run, compared, then executed as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from es_ranking.engine.contract import Engine
from es_ranking.publish.changes import Changes, Compare, cloned, compared, hindrance
from es_ranking.publish.generation import (
    WAS,
    Generation,
    Published,
    generations,
    next_generation,
    serving,
    users_alias,
    why_alias,
)
from es_ranking.publish.meta import GenerationMeta
from es_ranking.publish.room import bytes_needed, checked_space
from es_ranking.publish.settings import PublishSettings
from es_ranking.schema import checked_limit, count_fields, flat_settings, main_mapping, rank_fields, side_mapping
from segments.catalogue import Catalogue
from segments.errors import ContractBroken, Refused

_DOCUMENTS_A_SECOND = 4_000
_NOT_TOLD = frozenset({"bodies", "number", "was", "since", "unsure"})


@dataclass(frozen=True)
class PublishPlan:
    """Everything a publish needs to know; plain values, so it goes to workers, files and people alike.

    Attributes:
        generation: id of the new generation.
        replaces: id of the generation that serves now, None for the first.
        indices: alias → new index.
        bodies: alias → body the index is created with.
        documents: how many documents the main index must hold before the switch.
        users: how many documents the users index must hold.
        sweeps: half-written indices of this or earlier runs that go first.
        retires: generations that go after the switch.
        bytes_needed: disk the new generation takes while it is written, estimated.
        bytes_free: disk the engine has, None if it does not tell.
        seconds: expected time of the writing, estimated.
        clones: alias → index the new one begins as a copy of; empty where everything is written.
        changes: of each copy, how many documents are added, changed, removed and stay the same.
        was: the index that tells what served when the publish began; empty where none is needed.
        since: shard → last write of what serves that the plan has reckoned with; later ones are brought along.
        unsure: owners' writes to what is copied that `documents` does not reckon with.
    """

    generation: str
    alias: str
    run: str
    number: int
    replaces: str | None
    why: str
    documents: int
    users: int
    fields: int
    field_limit: int
    rank_fields: int
    bytes_needed: int
    bytes_free: int | None
    seconds: int
    indices: dict[str, str]
    sweeps: tuple[str, ...] = ()
    retires: tuple[str, ...] = ()
    bodies: dict[str, Any] = field(default_factory=dict, repr=False)
    clones: dict[str, str] = field(default_factory=dict)
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    was: str = ""
    since: dict[str, int] = field(default_factory=dict)
    unsure: int = 0

    @property
    def target(self) -> Generation:
        return Generation(self.run, self.number, self.alias)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; `from_dict` gives the same plan back."""
        values = asdict(self)
        return {**values, "sweeps": list(self.sweeps), "retires": list(self.retires)}

    def summary(self) -> dict[str, Any]:
        """The plan without the index bodies: what `--dry-run` prints."""
        return {key: value for key, value in self.to_dict().items() if key not in _NOT_TOLD}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A stored plan."""
        return cls(**{**values, "sweeps": tuple(values["sweeps"]), "retires": tuple(values["retires"])})


def plan_publish(
    engine: Engine,
    alias: str,
    *,
    run: str,
    as_of: str,
    catalogue: Catalogue,
    default_variant: str,
    documents: int,
    users: int,
    settings: PublishSettings,
    space: str = "",
    content: Mapping[str, str] | None = None,
    compare: Compare | None = None,
) -> PublishPlan:
    """Looks at the engine and says what publishing this run would do. Changes nothing.

    Args:
        documents: items to publish, each exactly one document.
        users: users whose segments are published beside.
        space: names the set of item vectors, empty where items have none.
        content: see `GenerationMeta`.
        compare: asked only where a copy of the serving generation could do; None: everything is written.

    Raises:
        ContractBroken: nothing to publish.
        Refused: a newer run serves already, the fields do not fit, the disk is too small, or the name is taken.
    """
    if documents < 1:
        raise ContractBroken("there is not one document to publish", where=alias)
    found = generations(engine, alias)
    now = serving(engine, alias)
    generation = next_generation(found, alias, run)
    refuse_older(generation, now)
    ranks = rank_fields(catalogue)
    meta = GenerationMeta(
        generation=generation.id,
        alias=alias,
        run=run,
        number=generation.number,
        as_of=as_of,
        default_variant=default_variant,
        rank_fields=ranks,
        catalogue=catalogue.model_dump(mode="json"),
        documents=documents,
        space=space,
        content=dict(content or {}),
    )
    mapping = main_mapping(
        ranks,
        default_variant=default_variant,
        keyword_attributes=settings.keyword_attributes,
        index_ranks=settings.index_rank_fields,
        vectors=bool(space),
        further=settings.properties,
        meta=meta.to_meta(),
    )
    limit = checked_limit(mapping, limit=settings.field_limit, may_raise=settings.raise_field_limit)
    fields = sum(len(segments) for segments in ranks.values())
    why, copied = _reason(generation, now), dict[str, Changes]()
    since = engine.checkpoints(now.generation.index) if now else {}
    if now is not None and compare is not None:
        against = hindrance(engine, meta, mapping, now=now, found=found, settings=settings)
        known, against = ({}, against) if against else compared(engine, now, compare, settings)
        copied = cloned(known, settings)
        why = f"{why}; {_how(known, copied, against)}"
    counts = {alias: documents, why_alias(alias): documents, users_alias(alias): users}
    writes = {name: copied[name].put if name in copied else count for name, count in counts.items()}
    needed = bytes_needed(engine, now, documents=writes[alias], rank_fields=fields)
    free = checked_space(engine, needed, settings)
    return PublishPlan(
        generation=generation.id,
        alias=alias,
        run=run,
        number=generation.number,
        replaces=now.generation.id if now else None,
        why=why,
        documents=documents,
        users=users,
        fields=count_fields(mapping),
        field_limit=limit,
        rank_fields=fields,
        bytes_needed=needed,
        bytes_free=free,
        seconds=round(sum(writes.values()) / _DOCUMENTS_A_SECOND) + 1,
        indices=generation.indices,
        sweeps=tuple(p.generation.id for p in found if p.half and not p.serving and p.generation < generation),
        retires=tuple(_retired(found, now, settings.keep_generations)),
        bodies={
            alias: _body(mapping, settings, limit=limit, analysis=settings.analysis),
            why_alias(alias): _body(side_mapping("ranks", meta.to_meta()), settings),
            users_alias(alias): _body(side_mapping("segments", meta.to_meta()), settings),
        },
        clones={name: now.generation.indices[name] for name in copied} if now else {},
        changes={name: asdict(changes) for name, changes in copied.items()},
        was=generation.index + WAS if now else "",
        since=since,
    )


def refuse_older(generation: Generation, now: Published | None) -> None:
    """The generation guard: an older job never replaces a newer generation.

    Raises:
        Refused: the serving generation is newer.
    """
    if now is not None and now.generation >= generation:
        raise Refused(
            f"{now.generation.id} serves already and is newer than {generation.id}; nothing was changed",
            where=generation.alias,
            hint="roll back first if the older ranks shall serve: es-ranking rollback",
        )


def _reason(generation: Generation, now: Published | None) -> str:
    if now is None:
        return "nothing is published under this name yet"
    if now.generation.run == generation.run:
        return "the same run is published again"
    return f"run {generation.run} is newer than the serving run {now.generation.run}"


def _how(known: Mapping[str, Changes], copied: Mapping[str, Changes], otherwise: str) -> str:
    told = [
        f"{changes.share:.1%} of {name} differ: {'a copy is changed' if name in copied else 'written whole'}"
        for name, changes in known.items()
    ]
    return ", ".join(told) or f"written whole: {otherwise}"


def _retired(found: list[Published], now: Published | None, keep: int) -> list[str]:
    """Complete generations beyond the ones kept: the new one, then the one serving until now, then the newest."""
    others = [p for p in found if not p.half and not p.serving]
    order = [*([now] if now else []), *reversed(others)]
    return sorted(p.generation.id for p in order[keep - 1 :])


def _body(
    mapping: Mapping[str, Any],
    settings: PublishSettings,
    *,
    limit: int = 1_000,
    analysis: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """While loading: no refresh, no replicas; both are set when the generation is complete."""
    return {
        "settings": {
            "index.number_of_shards": settings.shards,
            "index.number_of_replicas": 0,
            "index.refresh_interval": "-1",
            "index.mapping.total_fields.limit": limit,
            **flat_settings({"index": {"analysis": analysis or {}}}),
        },
        "mappings": dict(mapping),
    }
