"""Segment ids: short, readable, safe as part of a field name, and never the same for two segments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from segments.errors import UsageError
from segments.hashing import hash64

SEGMENT_ID = re.compile(r"[a-z0-9][a-z0-9_]*")
LONGEST = 120
JOINT = "__"


def checked(segment: str) -> str:
    """The id itself, if it may stand in a field name.

    Raises:
        UsageError: other than a-z, 0-9 and _, or longer than 120 characters.
    """
    if not SEGMENT_ID.fullmatch(segment) or len(segment) > LONGEST:
        raise UsageError(
            f"not a segment id: {segment!r}", hint=f"a-z, 0-9 and _, at most {LONGEST} characters, like d_35_44"
        )
    return segment


def slug(text: str) -> str:
    """A value as part of an id; never empty, never with two underscores together (those join crossed segments).

    >>> slug("35-44"), slug("65+"), slug("Under 15K")
    ('35_44', '65plus', 'under_15k')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower().replace("+", "plus")).strip("_")
    return plain[:40].strip("_") or f"x{hash64(text) % 16**6:06x}"


def segment_ids(prefix: str, cells: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """An id for each cell. Cells that would share an id (`a b` and `a-b`) all get a piece of their hash."""
    plain = {cell: "_".join((prefix, *map(slug, cell))) for cell in cells}
    times = Counter(plain.values())
    return {
        cell: checked(name if times[name] == 1 else f"{name}_{hash64(*cell) % 16**6:06x}")
        for cell, name in plain.items()
    }
