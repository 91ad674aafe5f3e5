"""The one error tree. Every failure says what is wrong, where, and what to do next, and knows its exit code.

Exit codes (documented in the README, stable): 0 done, 1 failed, 2 wrong usage, 3 refused by a gate or stale input,
4 contract broken (bad data), 5 engine unreachable, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RankingError(Exception):
    """Root of all errors this project raises on purpose.

    Args:
        what: what is wrong, one sentence without a trailing period.
        where: the file, table, index, field or setting it concerns.
        hint: what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        hint = f". Hint: {self.hint}" if self.hint else ""
        return f"{self.what}{place}{hint}"

    def __reduce__(self) -> tuple[object, ...]:
        # Spark workers send exceptions home by pickle; keyword-only arguments need to be spelled out.
        return _rebuild, (type(self), self.what, self.where, self.hint)


def _rebuild(kind: type[RankingError], what: str, where: str | None, hint: str | None) -> RankingError:
    return kind(what, where=where, hint=hint)


class UsageError(RankingError):
    """A flag, setting or name that cannot be meant: exit code 2."""

    exit_code = 2

    @classmethod
    def unknown(cls, thing: str, name: str, known: Iterable[str], *, where: str | None = None) -> UsageError:
        """An unknown name, with the nearest known ones: `UsageError.unknown("model", "deepfn", MODELS)`."""
        choices = sorted(known)
        near = get_close_matches(name, choices, n=3) or choices[:8]
        return cls(f"unknown {thing} {name!r}", where=where, hint=f"known: {', '.join(near) or 'none'}")


class MissingExtra(UsageError):
    """An optional library is not installed: exit code 2."""

    @classmethod
    def of(cls, extra: str, library: str) -> MissingExtra:
        """Names the extra and prints the pip command that brings it."""
        return cls(f"this needs {library}, which is not installed", hint=f"pip install 'es-ranking[{extra}]'")


class Refused(RankingError):
    """A gate said no, or the input is stale or missing: exit code 3. Nothing was changed."""

    exit_code = 3


class ContractBroken(RankingError):
    """Data that does not hold what its contract promises: exit code 4."""

    exit_code = 4


class EngineUnreachable(RankingError):
    """The search engine (or Redis) does not answer: exit code 5."""

    exit_code = 5
