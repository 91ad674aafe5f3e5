"""Which list, seen by which three segments, shows best that segments see different lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

from segments.errors import Refused


@dataclass(frozen=True)
class Contrast:
    """A list and the segments that order it differently; `overlap` is the mean share of first places in common."""

    list: str
    segments: tuple[str, ...]
    overlap: float


def most_different(tops: Mapping[str, Mapping[str, Set[str]]], segments: Sequence[str], *, many: int = 3) -> Contrast:
    """The list and the `many` segments whose first places have least in common.

    Args:
        tops: list → segment → the items of its first places.
        segments: those to choose from, all of them if there are no more than `many`.

    Raises:
        Refused: no list at all.
    """
    if not tops:
        raise Refused("there is no list to show", hint="publish ranks of products first")
    chosen = [name for name in segments if all(name in by_segment for by_segment in tops.values())]
    best: Contrast | None = None
    for name, by_segment in sorted(tops.items()):
        for group in combinations(chosen, min(many, len(chosen))):
            pairs = [_overlap(by_segment[a], by_segment[b]) for a, b in combinations(group, 2)]
            contrast = Contrast(name, group, sum(pairs) / len(pairs) if pairs else 1.0)
            if best is None or contrast.overlap < best.overlap:
                best = contrast
    return best or Contrast(min(tops), (), 1.0)


def _overlap(a: Set[str], b: Set[str]) -> float:
    return len(a & b) / max(1, min(len(a), len(b)))
