"""Where policies are kept: one document a version in an index beside the ranks, never changed, never deleted.

The version with the highest number is in force. A version is created, not written over: of two people who put one at
the same moment the second is refused. Every version says who put it, when, why, and what changed: it is the audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.engine.errors import Conflict, IndexMissing
from es_ranking.engine.translate import translated
from es_ranking.policy.changes import changes
from es_ranking.policy.document import Policy
from segments.errors import ContractBroken, Refused, UsageError

LARGEST_BYTES = 1_000_000
_KEYWORD = {"type": "keyword", "ignore_above": 8000}
BODY = {
    "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": False,
        "properties": {
            "version": {"type": "integer"},
            "at": {"type": "date"},
            "by": _KEYWORD,
            "note": _KEYWORD,
            "policy": {"type": "object", "enabled": False},
        },
    },
}


@dataclass(frozen=True)
class Version:
    """One version of a policy.

    Args:
        version: 1, 2, …
        at: when it was put.
        by: who put it.
        note: why.
        changes: what changed against the version before.
        policy: the document as it is stored.
    """

    version: int
    at: str
    by: str
    note: str
    changes: list[str]
    policy: dict[str, Any]

    def read(self) -> Policy:
        """The document, checked.

        Raises:
            ContractBroken: it is none: of another version of es-ranking, or changed by hand.
        """
        try:
            return Policy.of(self.policy)
        except UsageError as error:
            raise ContractBroken(f"version {self.version} of the policy is broken: {error.what}") from error

    def to_dict(self) -> dict[str, Any]:
        """As it is stored and printed; keys are stable."""
        return asdict(self)


class PolicyStore:
    """The policies of one alias."""

    def __init__(self, engine: Engine, alias: str) -> None:
        self.engine = engine
        self.index = f"{alias}-policy"

    def versions(
        self, *, most: int = 1000, only: int | None = None, timeout_seconds: float | None = None
    ) -> list[Version]:
        """The latest first, or `only` the one of that number; empty where no policy was ever put."""
        sort = [{"version": {"order": "desc", "unmapped_type": "integer"}}]
        query = {"match_all": {}} if only is None else {"term": {"version": only}}
        try:
            answer = self.engine.search(
                self.index, {"query": query, "size": most, "sort": sort}, timeout_seconds=timeout_seconds
            )
        except IndexMissing:
            return []
        return [_version(hit["_source"]) for hit in answer["hits"]["hits"]]

    def version(self, number: int, *, timeout_seconds: float | None = None) -> Version:
        """One version.

        Raises:
            UsageError: there is none of this number.
        """
        for version in self.versions(only=number, timeout_seconds=timeout_seconds):
            return version
        raise UsageError(f"no version {number} of the policy", where=self.index, hint="es-ranking policy history")

    def next(self, policy: Policy, *, by: str, at: datetime, note: str = "") -> Version:
        """The version that `put` would create: what a dry run prints.

        Raises:
            Refused: nothing would change.
            UsageError: nobody puts it, the time has no zone, or the document is too large.
        """
        if not by.strip():
            raise UsageError("who puts the policy?", where="--by", hint="--by NAME, or ES_RANKING_BY")
        if at.tzinfo is None:
            raise UsageError("the time needs a zone", where="--at")
        stored = policy.model_dump(mode="json", exclude_defaults=True)
        size = len(policy.model_dump_json(exclude_defaults=True))
        if size > LARGEST_BYTES:
            raise UsageError(f"the policy is too large: {size} bytes, {LARGEST_BYTES} at most", where=self.index)
        last = next(iter(self.versions(most=1)), None)
        before = _readable(last)
        if last is not None and before == policy:
            raise Refused(f"nothing would change: version {last.version} says the same", where=self.index)
        number = last.version + 1 if last else 1
        return Version(number, at.isoformat(), by, note, changes(before, policy), stored)

    def put(self, version: Version) -> None:
        """Stores a version; it is in force at once.

        Raises:
            Refused: somebody put another one meanwhile.
        """
        if version.version == 1:
            # somebody else may be at his first version too; which of us was first shows below
            with suppress(Conflict):
                self.engine.create_index(self.index, BODY)
        action = BulkAction(self.index, str(version.version), version.to_dict(), "create")
        for error in self.engine.bulk([action], refresh=True).errors:
            if error.status == 409:
                raise Refused(
                    f"somebody put version {version.version} meanwhile",
                    where=self.index,
                    hint="look at it (es-ranking policy show), then put yours again",
                )
            raise translated(error.status, {"error": error.reason}, self.index)


def _version(document: Mapping[str, Any]) -> Version:
    # whatever stands in the index: one that is none of ours is a broken version, not the end of all reading
    return Version(
        version=document.get("version", 0), at=document.get("at", ""), by=document.get("by", ""),
        note=document.get("note", ""), changes=document.get("changes", []), policy=document.get("policy", {"": None}),
    )  # fmt: skip


def _readable(version: Version | None) -> Policy | None:
    try:
        return version.read() if version else None
    except ContractBroken:
        return None
