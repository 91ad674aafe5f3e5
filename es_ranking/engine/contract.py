"""The engine as this project needs it: plain dicts in, plain dicts out.

One adapter (`rest`) serves every product, over one transport a client library. Everything that talks to a search engine
takes an `Engine`; nothing outside the transports imports a client library. Every call raises only errors of
`es_ranking.engine.errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Body = Mapping[str, Any]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BulkAction:
    """One line of a bulk request. `document` may be JSON already (bytes); a delete has none."""

    index: str
    id: str | None
    document: Body | bytes | None
    op: Literal["index", "create", "delete"] = "index"


@dataclass(frozen=True)
class BulkError:
    """One refused action: its place in the request, so that the caller can send exactly that one again."""

    position: int
    id: str | None
    status: int
    reason: str


@dataclass(frozen=True)
class BulkResult:
    """What became of a bulk request."""

    done: int
    errors: tuple[BulkError, ...] = ()


@dataclass(frozen=True)
class Disk:
    """Space of the fullest data node, bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class IndexSize:
    """Documents and bytes of the primaries of an index."""

    documents: int
    bytes: int


@dataclass(frozen=True)
class Copying:
    """A copying that the engine does by itself: `documents` of `total` so far.

    Attributes:
        failure: why it stopped early; None while it goes on, and when all was copied.
        refused: the document that the target would not take, if that is why.
    """

    done: bool
    documents: int
    total: int
    failure: str | None = None
    refused: str | None = None


@dataclass(frozen=True)
class IndexState:
    """One index as the engine describes it: settings are flat (`index.refresh_interval`), all values strings."""

    name: str
    aliases: Mapping[str, Body] = field(default_factory=dict)
    mapping: Body = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """The calls this project makes. `index` is always an index, an alias, or a pattern where it says so."""

    @property
    def url(self) -> str:
        """Where it listens, without credentials: for messages."""

    @property
    def product(self) -> str:
        """`elasticsearch` or `opensearch`."""

    def info(self) -> Answer:
        """Name and version of the server."""

    def search(
        self, index: str, body: Body, *, timeout_seconds: float | None = None, preference: str | None = None
    ) -> Answer:
        """One search; the response as the engine gives it. `preference` chooses shards, such as `_shards:0`."""

    def msearch(
        self, searches: Sequence[tuple[str, Body]], *, timeout_seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Several searches in one round trip, answers in order. The first failed one raises."""

    def count(self, index: str, query: Body | None = None) -> int:
        """Documents that match, all without a query."""

    def get(self, index: str, doc_id: str) -> Answer | None:
        """A document's source, None if there is none. Sees writes that are not refreshed yet."""

    def mget(
        self, index: str, ids: Sequence[str], *, source: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """Sources in the order of the ids, None where missing; `source` limits the fields."""

    def bulk(self, actions: Iterable[BulkAction], *, refresh: bool = False, require_alias: bool = False) -> BulkResult:
        """One bulk request. Refused actions are in the result, never raised; a refused request raises.

        With `require_alias` an action whose target is not an alias is refused: nothing is created by writing late.
        """

    def create_index(self, index: str, body: Body) -> None:
        """Settings, mappings, aliases. `Conflict` if it exists."""

    def clone_index(self, source: str, target: str, body: Body) -> None:
        """A second index with the source's documents and mapping; settings and aliases are the body's.

        The source must be closed to writes (`index.blocks.write`), the clone is open. `Conflict` if it exists.
        """

    def delete_index(self, index: str, *, missing_ok: bool = False) -> None:
        """One index by its own name; patterns are refused."""

    def exists(self, index: str) -> bool:
        """Whether the index or alias exists."""

    def indices(self, pattern: str) -> list[IndexState]:
        """Indices that match (or stand behind an alias), by name; empty if none."""

    def get_mapping(self, index: str) -> Answer:
        """The mapping of one index (of the first, by name, behind an alias)."""

    def put_mapping(self, index: str, mapping: Body) -> None:
        """Adds fields, or changes what may change (`_meta`, field aliases)."""

    def put_settings(self, index: str, settings: Body) -> None:
        """Changes dynamic index settings."""

    def close_to_writes(self, index: str) -> None:
        """Sets `index.blocks.write` and waits for the writes under way; `put_settings` opens it again."""

    def checkpoints(self, index: str) -> dict[str, int]:
        """Shard → the greatest `_seq_no` up to which every write is done; later writes have greater ones."""

    def start_reindex(
        self,
        source: str,
        target: str,
        *,
        requests_per_second: float | None = None,
        slices: int | None = None,
        script: Body | None = None,
    ) -> str:
        """The engine begins to copy what the target, an alias, lacks; returns the name of the task.

        Without `requests_per_second` (documents a second) as fast as it can; without `slices` one a shard.
        """

    def reindexing(self, target: str) -> str | None:
        """The task that copies into the target just now, whoever began it."""

    def rethrottle(self, task: str, requests_per_second: float | None) -> None:
        """Another speed for a task that runs."""

    def copying(self, task: str) -> Copying | None:
        """How far a task is; None if the engine does not know it any more, as after a restart."""

    def get_alias(self, alias: str) -> list[str]:
        """Names of the indices behind the alias, sorted; empty if there is no such alias."""

    def update_aliases(self, actions: Sequence[Body]) -> None:
        """All actions in one atomic change of the cluster state. Never repeated by us."""

    def refresh(self, index: str) -> None:
        """Makes writes visible to search."""

    def put_script(self, script_id: str, source: str, *, lang: str = "painless") -> None:
        """Stores a script under its id."""

    def get_script(self, script_id: str) -> str | None:
        """Source of a stored script, None if there is none."""

    def size(self, index: str) -> IndexSize:
        """Documents and bytes of the index."""

    def disk(self) -> Disk | None:
        """Space on the fullest data node; None where the engine does not tell."""

    def health(self, index: str | None = None, *, wait_for: str | None = None, timeout_seconds: float = 30.0) -> str:
        """`green`, `yellow` or `red`; with `wait_for`, after waiting that long for at least that."""

    def close(self) -> None:
        """Closes the connections."""
