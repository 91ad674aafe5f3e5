"""Generations: one published set of ranks, its indices, and what the engine itself knows of it.

Nothing is remembered outside the engine. A generation is three indices (documents with ranks, reasons, users); it
serves while the alias points at them. While it is written its indices stand behind a private alias `<index>-writing`:
writers address only that one, so that a swept index is never created again by a late bulk, and whatever still has such
an alias is half-written. Beside it stands `<index>-was` then: a copy of what served when the publish began, by which
documents are found that owners delete meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from es_ranking.engine.contract import Engine, IndexState
from es_ranking.engine.errors import IndexMissing
from es_ranking.publish.meta import META, GenerationMeta
from segments.errors import Refused, UsageError

WRITING, KEPT, WAS = "-writing", "-kept", "-was"
_ALIAS = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_RUN = re.compile(r"\d{8}T\d{6}")
_RUNS_LOOK_LIKE = "runs look like 20171127T000000"


@dataclass(frozen=True, order=True)
class Generation:
    """Which generation: ordered by run, then by the number of its publishing.

    Attributes:
        run: the run that made it, `20171127T000000`.
        number: 1, 2, …: the same night published again is a later generation of the same run.
    """

    run: str
    number: int
    alias: str

    def __post_init__(self) -> None:
        if not _RUN.fullmatch(self.run):
            raise UsageError(f"not a run: {self.run!r}", hint=_RUNS_LOOK_LIKE)
        checked_alias(self.alias)

    @property
    def id(self) -> str:
        """Its name for people and commands, also the name of its main index."""
        return f"{self.alias}-{self.run.lower()}-{self.number}"

    @property
    def index(self) -> str:
        return self.id

    @property
    def why_index(self) -> str:
        return f"{self.alias}-why-{self.run.lower()}-{self.number}"

    @property
    def users_index(self) -> str:
        return f"{self.alias}-users-{self.run.lower()}-{self.number}"

    @property
    def indices(self) -> dict[str, str]:
        """alias → index, for every index of the generation."""
        return {
            self.alias: self.index,
            why_alias(self.alias): self.why_index,
            users_alias(self.alias): self.users_index,
        }


@dataclass(frozen=True)
class Published:
    """A generation found in the engine.

    Attributes:
        half: half-written.
        kept: it has served, and stands behind its private alias `<index>-kept` until it serves again or is removed.
    """

    generation: Generation
    meta: GenerationMeta
    serving: bool
    half: bool
    kept: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The row `es-ranking generations` prints."""
        return {
            "generation": self.generation.id,
            "alias": self.generation.alias,
            "run": self.generation.run,
            "number": self.generation.number,
            "as_of": self.meta.as_of,
            "state": "serving" if self.serving else "half-written" if self.half else "kept",
            "documents": self.meta.documents,
            "night": self.meta.night or self.meta.run,
            "rank_fields": sum(len(segments) for segments in self.meta.rank_fields.values()),
        }


def checked_alias(alias: str) -> str:
    """The alias, if one of that name can be published.

    Raises:
        UsageError: it cannot.
    """
    if not _ALIAS.fullmatch(alias):
        raise UsageError(f"not a name for an index alias: {alias!r}", hint="lower-case letters, digits and -_.")
    return alias


def clock_of(run: str) -> str:
    """The UTC time that a run's id was made from, ISO.

    >>> clock_of("20171127T000000")
    '2017-11-27T00:00:00+00:00'

    Raises:
        UsageError: not a run.
    """
    try:
        return datetime.strptime(run, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).isoformat()
    except ValueError as error:
        raise UsageError(f"not a run: {run!r}", hint=_RUNS_LOOK_LIKE) from error


def why_alias(alias: str) -> str:
    """Where the reasons of the serving generation are read."""
    return f"{alias}-why"


def users_alias(alias: str) -> str:
    """Where the users' segments of the serving generation are read."""
    return f"{alias}-users"


def generations(engine: Engine, alias: str) -> list[Published]:
    """All generations of an alias, oldest first, half-written ones included."""
    shape = re.compile(re.escape(alias) + r"-(\d{8}t\d{6})-(\d+)")
    found = []
    for state in engine.indices(f"{alias}-*"):
        match = shape.fullmatch(state.name)
        if match and META in (state.mapping.get("_meta") or {}):
            found.append(_published(state, Generation(match.group(1).upper(), int(match.group(2)), alias)))
    return sorted(found, key=lambda published: published.generation)


def next_generation(found: Iterable[Published], alias: str, run: str) -> Generation:
    """The next one of a run, of all that were found of the alias: half-written ones have had their number."""
    numbers = [published.generation.number for published in found if published.generation.run == run]
    return Generation(run, max(numbers, default=0) + 1, alias)


def published_aliases(engine: Engine) -> list[str]:
    """Every alias that a generation of ours serves under."""
    found = set()
    for state in engine.indices("*"):
        meta = (state.mapping.get("_meta") or {}).get(META)
        if meta and meta.get("alias") in state.aliases:
            found.add(str(meta["alias"]))
    return sorted(found)


def serving(engine: Engine, alias: str) -> Published | None:
    """The generation the alias points at; None if there is no such alias.

    Raises:
        Refused: the name belongs to a plain index, or to an alias over something else.
    """
    indices = engine.get_alias(alias)
    if not indices:
        if engine.exists(alias):
            raise Refused("an index has this name, so no alias can", where=alias, hint="choose another alias")
        return None
    ours = [published for published in generations(engine, alias) if published.serving]
    if len(ours) != 1 or len(indices) != 1:
        raise Refused(
            f"the alias points at {', '.join(indices)}, not at one generation of ours",
            where=alias,
            hint="choose another alias, or remove this one",
        )
    return ours[0]


def served(engine: Engine, alias: str) -> Published:
    """The generation the alias points at.

    Raises:
        IndexMissing: nothing is published under the alias.
        Refused: see `serving`.
    """
    now = serving(engine, alias)
    if now is None:
        raise _nothing(alias)
    return now


def serving_meta(engine: Engine, alias: str) -> GenerationMeta:
    """What the serving generation tells of itself: variants, segments, catalogue.

    Raises:
        IndexMissing: nothing is published under the alias.
        ContractBroken: the index is not one of ours.
    """
    try:
        mapping = engine.get_mapping(alias)
    except IndexMissing as error:
        raise _nothing(alias) from error
    return GenerationMeta.of(mapping.get("_meta") or {}, where=alias)


def _published(state: IndexState, generation: Generation) -> Published:
    return Published(
        generation=generation,
        meta=GenerationMeta.of(state.mapping["_meta"], where=state.name),
        serving=generation.alias in state.aliases,
        half=any(name.endswith(WRITING) for name in state.aliases),
        kept=generation.index + KEPT in state.aliases,
    )


def _nothing(alias: str) -> IndexMissing:
    return IndexMissing("nothing is published under this name", where=alias, hint="es-ranking nightly run")
