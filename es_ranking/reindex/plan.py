"""What a reindex will do, as a value: printed by `--dry-run`, executed as it is, and kept in the mapping of the index
it writes, so that any process can go on with it after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from es_ranking.engine.contract import Engine, IndexState
from es_ranking.publish.generation import (
    WRITING,
    Published,
    generations,
    next_generation,
    served,
    users_alias,
    why_alias,
)
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.room import MERGE_ROOM, checked_space
from es_ranking.publish.settings import PublishSettings
from es_ranking.reindex.settings import ReindexSettings
from es_ranking.schema import checked_limit, count_fields, flat_settings, laid_over, main_mapping
from segments.errors import Refused

REINDEX = "es_ranking_reindex"
_DOCUMENTS_A_SECOND = 5_000
# The engine's own, or set when the copy is complete: they are not handed down.
_NOT_COPIED = ("blocks.", "creation_date", "history.", "number_of_replicas", "number_of_routing_shards",
               "provided_name", "refresh_interval", "resize.", "routing.", "shrink.", "uuid", "verified_before_close",
               "version.")  # fmt: skip


@dataclass(frozen=True)
class ReindexPlan:
    """Everything a reindex needs to know.

    Attributes:
        publish: the generation to be; `replaces` is the one that is copied, and the copying is sure to see what was
            written until `since`.
        attributes: attributes that the new mapping has as fields of their own and the old one has not.
        differences: path → what changes, for people.
        settled: replicas and refresh interval of the new index once it serves.
    """

    publish: PublishPlan
    attributes: tuple[str, ...]
    differences: dict[str, str]
    settled: dict[str, Any]
    settings: ReindexSettings

    @property
    def source(self) -> str:
        """The index that is copied."""
        return str(self.publish.replaces)

    def summary(self) -> dict[str, Any]:
        """What `--dry-run` prints."""
        told = {key: value for key, value in self.publish.summary().items() if key not in {"changes", "retires"}}
        return {**told, "differences": self.differences, **self.settings.model_dump()}

    def to_meta(self) -> dict[str, Any]:
        """For the mapping's `_meta`; `of` gives the same plan back."""
        publish = {**self.publish.to_dict(), "bodies": {}}
        return {REINDEX: {"publish": publish, "attributes": list(self.attributes),
                          "differences": self.differences, "settled": self.settled,
                          "settings": self.settings.model_dump(mode="json")}}  # fmt: skip

    @classmethod
    def of(cls, state: IndexState) -> Self:
        """The plan by which a half-written index was begun."""
        kept: dict[str, Any] = state.mapping["_meta"][REINDEX]
        publish = PublishPlan.from_dict(kept["publish"])
        bodies = {publish.alias: {"mappings": {"_meta": state.mapping["_meta"]}}}
        return cls(replace(publish, bodies=bodies), tuple(kept["attributes"]), kept["differences"],
                   kept["settled"], ReindexSettings.of(kept["settings"], where=state.name))  # fmt: skip


def plan_reindex(
    engine: Engine,
    alias: str,
    *,
    wanted: PublishSettings | None = None,
    shards: int | None = None,
    settings: ReindexSettings,
) -> ReindexPlan:
    """Looks at what serves and says what copying it would do. Changes nothing.

    Args:
        wanted: publish settings whose mapping, analysers, shards and replicas the copy shall have; fields they do not
            name stay. None: all as it is.
        shards: primary shards of the copy, whatever the settings say.

    Raises:
        IndexMissing: nothing is published under the alias.
        Refused: another reindex or publish is under way, the fields do not fit, or the disk is too small.
    """
    now = served(engine, alias)
    found = generations(engine, alias)
    _refuse_company(engine, alias, now, found)
    (state,) = engine.indices(now.generation.index)
    chosen = wanted or PublishSettings()
    generation = next_generation(found, alias, now.meta.run)
    # What owners have written is copied with all the rest: nobody can tell it from ours any more.
    meta = replace(now.meta, generation=generation.id, number=generation.number, ours={}, settled={})
    mapping, analysis = _mapping(state, now, wanted)
    limit = checked_limit(
        mapping, limit=int(state.settings.get("index.mapping.total_fields.limit", 1000)),
        may_raise=chosen.raise_field_limit,
    )  # fmt: skip
    kept = {name: value for name, value in state.settings.items()
            if not name.removeprefix("index.").startswith(_NOT_COPIED)}  # fmt: skip
    if analysis:
        kept = {name: value for name, value in kept.items() if not name.startswith("index.analysis.")} | analysis
    parts = shards or (wanted.shards if wanted else int(kept["index.number_of_shards"]))
    body = {
        "settings": {**kept, "index.number_of_shards": parts, "index.mapping.total_fields.limit": limit,
                     "index.number_of_replicas": 0, "index.refresh_interval": "-1"},
        "mappings": {**mapping, "_meta": meta.to_meta()},
    }  # fmt: skip
    size = engine.size(now.generation.index)
    side = {"settings": {"index.number_of_replicas": 0, "index.refresh_interval": "-1"},
            "mappings": {"_meta": meta.to_meta()}}  # fmt: skip
    sides = (why_alias(alias), users_alias(alias))
    plan = PublishPlan(
        generation=generation.id,
        alias=alias,
        run=now.meta.run,
        number=generation.number,
        replaces=now.generation.id,
        why=f"{now.generation.id} is copied by the engine, with what is written meanwhile",
        documents=size.documents,
        users=engine.count(now.generation.users_index),
        fields=count_fields(mapping),
        field_limit=limit,
        rank_fields=sum(len(segments) for segments in meta.rank_fields.values()),
        bytes_needed=round(size.bytes * MERGE_ROOM),
        bytes_free=checked_space(engine, round(size.bytes * MERGE_ROOM), chosen),
        seconds=round(size.documents / (settings.requests_per_second or _DOCUMENTS_A_SECOND)) + 1,
        indices=generation.indices,
        sweeps=tuple(p.generation.id for p in found if p.half and p.generation < now.generation),
        bodies={alias: body, **dict.fromkeys(sides, side)},
        clones={side: now.generation.indices[side] for side in sides},
        since=engine.checkpoints(now.generation.index),
    )
    settled: dict[str, Any] = {"replicas": chosen.replicas, "refresh_interval": chosen.refresh_interval}
    if wanted is None:
        settled["replicas"] = int(state.settings["index.number_of_replicas"])
        interval = state.settings.get("index.refresh_interval", "1s")
        # Never refreshed is what a crash left behind, not what anybody wants.
        settled["refresh_interval"] = chosen.refresh_interval if interval == "-1" else interval
    added = tuple(name for name in chosen.keyword_attributes if name not in state.mapping["properties"])
    whole = ReindexPlan(plan, added, _differences(state, body), settled, settings)
    body["mappings"]["_meta"] |= whole.to_meta()
    return whole


def begun_reindex(engine: Engine, alias: str) -> ReindexPlan | None:
    """The plan of a reindex that was begun and neither finished nor removed."""
    for state in engine.indices(f"{alias}-*"):
        half = any(name.endswith(WRITING) for name in state.aliases)
        if half and REINDEX in (state.mapping.get("_meta") or {}):
            begun = ReindexPlan.of(state).publish
            # Its record is handed on to copies of it.
            if (begun.alias, begun.generation) == (alias, state.name):
                return ReindexPlan.of(state)
    return None


def _refuse_company(engine: Engine, alias: str, now: Published, found: list[Published]) -> None:
    begun = begun_reindex(engine, alias)
    if begun is not None:
        raise Refused(
            f"a reindex to {begun.publish.generation} was begun",
            where=alias,
            hint=f"es-ranking reindex {alias} --resume goes on with it, --abort removes it",
        )
    for other in found:
        if other.half and other.generation > now.generation:
            raise Refused(
                f"{other.generation.id} is being written and would overtake the copy",
                where=alias,
                hint="wait for that publish; if it crashed, run it again first",
            )


def _mapping(
    state: IndexState, now: Published, wanted: PublishSettings | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mapping of the copy, and its analysers if they are others than those of the source."""
    mapping = dict(state.mapping)
    if wanted is None:
        return mapping, {}
    ours = main_mapping(
        now.meta.rank_fields,
        default_variant=now.meta.default_variant,
        keyword_attributes=wanted.keyword_attributes,
        index_ranks=wanted.index_rank_fields,
        vectors=bool(now.meta.space),
        further=wanted.properties,
    )
    mapping["properties"] = laid_over(mapping["properties"], ours["properties"])
    return mapping, flat_settings({"index": {"analysis": wanted.analysis}})


def _differences(state: IndexState, body: Mapping[str, Any]) -> dict[str, str]:
    before = {**state.settings, **_fields(state.mapping)}
    after = {**body["settings"], **_fields(body["mappings"])}
    names = sorted(name for name in {*before, *after} if not name.removeprefix("index.").startswith(_NOT_COPIED))
    return {name: f"{before.get(name, 'none')} -> {after.get(name, 'none')}" for name in names
            if str(before.get(name)) != str(after.get(name))}  # fmt: skip


def _fields(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in mapping.get("properties", {}).items():
        own = {key: field[key] for key in sorted(field) if key != "properties"}
        found[prefix + name] = str(own)
        found.update(_fields(field, f"{prefix}{name}."))
    return found
