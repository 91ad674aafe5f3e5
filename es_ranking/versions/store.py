"""Where what people decide is kept: one document a version in an index beside the ranks, never changed, never deleted.

The version with the highest number is in force. A version is created, not written over: of two people who put one at
the same moment the second is refused. Every version says who put it, when, why, and what changed: it is the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.engine.errors import Conflict, IndexMissing
from es_ranking.engine.translate import translated
from segments.config import Settings
from segments.errors import ContractBroken, Refused, UsageError

LARGEST_BYTES = 1_000_000
_KEYWORD = {"type": "keyword", "ignore_above": 8000}
D = TypeVar("D", bound=Settings)


@dataclass(frozen=True)
class Kind(Generic[D]):
    """One kind of documents.

    Args:
        name: of the kind: the end of the index's name, the key of the document in what is stored and printed.
        document: its class.
        changes: what changed from one document (None: there was none) to another, one line a change.
        hint: the command that shows what is stored.
    """

    name: str
    document: type[D]
    changes: Callable[[D | None, D], list[str]]
    hint: str


@dataclass(frozen=True)
class Version(Generic[D]):
    """One version of a document.

    Args:
        kind: of what.
        version: 1, 2, …
        at: when it was put.
        by: who put it.
        note: why.
        changes: what changed against the version before.
        stored: the document as it is stored.
    """

    kind: Kind[D]
    version: int
    at: str
    by: str
    note: str
    changes: list[str]
    stored: dict[str, Any]

    def read(self) -> D:
        """The document, checked.

        Raises:
            ContractBroken: it is none: of another version of es-ranking, or changed by hand.
        """
        try:
            return self.kind.document.of(self.stored)
        except UsageError as error:
            raise ContractBroken(f"version {self.version} of the {self.kind.name} is broken: {error.what}") from error

    def to_dict(self) -> dict[str, Any]:
        """As it is stored and printed; keys are stable."""
        return {
            "version": self.version, "at": self.at, "by": self.by, "note": self.note, "changes": self.changes,
            self.kind.name: self.stored,
        }  # fmt: skip


class VersionStore(Generic[D]):
    """The versions of one kind of document of one alias; a kind is a subclass that says `kind`."""

    kind: Kind[D]

    def __init__(self, engine: Engine, alias: str) -> None:
        self.engine = engine
        self.index = f"{alias}-{self.kind.name}"

    def versions(
        self, *, most: int = 1000, only: int | None = None, timeout_seconds: float | None = None
    ) -> list[Version[D]]:
        """The latest first, or `only` the one of that number; empty where nothing was ever put."""
        sort = [{"version": {"order": "desc", "unmapped_type": "integer"}}]
        query = {"match_all": {}} if only is None else {"term": {"version": only}}
        try:
            answer = self.engine.search(
                self.index, {"query": query, "size": most, "sort": sort}, timeout_seconds=timeout_seconds
            )
        except IndexMissing:
            return []
        return [self._version(hit["_source"]) for hit in answer["hits"]["hits"]]

    def version(self, number: int, *, timeout_seconds: float | None = None) -> Version[D]:
        """One version.

        Raises:
            UsageError: there is none of this number.
        """
        for version in self.versions(only=number, timeout_seconds=timeout_seconds):
            return version
        raise UsageError(f"no version {number} of the {self.kind.name}", where=self.index, hint=self.kind.hint)

    def latest(self) -> Version[D] | None:
        """The version in force; None where nothing was ever put."""
        return next(iter(self.versions(most=1)), None)

    def next(self, document: D, *, by: str, at: datetime, note: str = "") -> Version[D]:
        """The version that `put` would create: what a dry run prints.

        Raises:
            Refused: nothing would change.
            UsageError: nobody puts it, the time has no zone, or the document is too large.
        """
        what = self.kind.name
        if not by.strip():
            raise UsageError(f"who puts the {what}?", where="--by", hint="--by NAME, or ES_RANKING_BY")
        if at.tzinfo is None:
            raise UsageError("the time needs a zone", where="--at")
        stored = document.model_dump(mode="json", exclude_defaults=True)
        size = len(document.model_dump_json(exclude_defaults=True))
        if size > LARGEST_BYTES:
            raise UsageError(f"the {what} is too large: {size} bytes, {LARGEST_BYTES} at most", where=self.index)
        last = self.latest()
        before = _readable(last)
        if last is not None and before == document:
            raise Refused(f"nothing would change: version {last.version} says the same", where=self.index)
        number = last.version + 1 if last else 1
        return Version(self.kind, number, at.isoformat(), by, note, self.kind.changes(before, document), stored)

    def put(self, version: Version[D]) -> None:
        """Stores a version; it is in force at once.

        Raises:
            Refused: somebody put another one meanwhile.
        """
        if version.version == 1:
            # somebody else may be at his first version too; which of us was first shows below
            with suppress(Conflict):
                self.engine.create_index(self.index, self._body())
        action = BulkAction(self.index, str(version.version), version.to_dict(), "create")
        for error in self.engine.bulk([action], refresh=True).errors:
            if error.status == 409:
                raise Refused(
                    f"somebody put version {version.version} meanwhile",
                    where=self.index,
                    hint=f"look at it ({self.kind.hint}), then put yours again",
                )
            raise translated(error.status, {"error": error.reason}, self.index)

    def _body(self) -> dict[str, Any]:
        return {
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            "mappings": {
                "dynamic": False,
                "properties": {
                    "version": {"type": "integer"},
                    "at": {"type": "date"},
                    "by": _KEYWORD,
                    "note": _KEYWORD,
                    self.kind.name: {"type": "object", "enabled": False},
                },
            },
        }

    def _version(self, document: Mapping[str, Any]) -> Version[D]:
        # whatever stands in the index: one that is none of ours is a broken version, not the end of all reading
        return Version(
            kind=self.kind, version=document.get("version", 0), at=document.get("at", ""), by=document.get("by", ""),
            note=document.get("note", ""), changes=document.get("changes", []),
            stored=document.get(self.kind.name, {"": None}),
        )  # fmt: skip


def _readable(version: Version[D] | None) -> D | None:
    try:
        return version.read() if version else None
    except ContractBroken:
        return None
