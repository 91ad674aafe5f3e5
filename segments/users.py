"""Which segments a user is in: the contract the query side reads, and its adapters that need no Spark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from segments.errors import ContractBroken, UsageError
from segments.whole import whole


class UserSegments(Protocol):
    """Where a user falls. A store of any kind (a file, Redis, a table) can stand behind it."""

    def resolve(self, user: str) -> Mapping[str, str]:
        """Family → segment id of a user; empty for a user nothing is known of. Never raises for an unknown user."""
        ...


class UserSegmentsInMemory:
    """Users and their segments in a dictionary."""

    def __init__(self, segments: Mapping[str, Mapping[str, str]]) -> None:
        self._segments = segments

    def __len__(self) -> int:
        return len(self._segments)

    def resolve(self, user: str) -> Mapping[str, str]:
        """Family → segment id of a user; empty for a user nothing is known of."""
        return self._segments.get(user, {})


def write_users(path: str | Path, segments: Iterable[tuple[str, Mapping[str, str]]]) -> int:
    """Writes one JSON line a user, `{"user": …, "segments": {family: segment}}`, beside and renamed.

    Returns:
        How many users were written.
    """
    file = Path(path)
    count = 0
    with whole(file) as fresh, fresh.open("w", encoding="utf-8") as lines:
        for user, families in segments:
            lines.write(json.dumps({"user": user, "segments": dict(families)}, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_users(path: str | Path) -> UserSegmentsInMemory:
    """Reads what `write_users` wrote.

    Raises:
        UsageError: no such file.
        ContractBroken: a line that is not a user; the message names it.
    """
    found: dict[str, dict[str, str]] = {}
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    values = json.loads(line)
                    found[str(values["user"])] = {str(k): str(v) for k, v in values["segments"].items()}
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise ContractBroken("not a user's segments", where=f"{path}:{number}") from error
    except OSError as error:
        hint = "es-ranking segments fit writes it"
        raise UsageError("cannot read the users' segments", where=str(path), hint=hint) from error
    return UserSegmentsInMemory(found)
