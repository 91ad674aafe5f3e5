"""Two generations side by side: how alike the first places of each segment are, and who moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import Published, generations, served
from es_ranking.schema import rank_field
from segments.errors import Refused, UsageError

# Above 0 and below 1: the chance that somebody who looks at one place looks at the next one, too.
PERSISTENCE = 0.9
# Where an item was is told down to here; the engine gives no more at once without further settings.
_DEEPEST, _USUAL_DEPTH, _TIMES_TOP = 10_000, 1_000, 10
_SEARCHES_A_REQUEST = 20


@dataclass(frozen=True)
class Move:
    """One item's places, counted from 1; None: further down than was looked, or not there."""

    item: str
    title: str | None
    before: int | None
    after: int | None


@dataclass(frozen=True)
class SegmentDifference:
    """What changed in the first places of one segment.

    Attributes:
        rbo: see `rank_biased_overlap`.
        stay: share of the old first places, as far as their items are still there, that are first places again.
        risers, fallers: items of either top that are there in both generations, the furthest first.
        new: items of the new top that the old generation lacks, in their order.
        gone: items of the old top that the new generation lacks, in their order.
    """

    variant: str
    segment: str
    rbo: float
    stay: float | None
    risers: tuple[Move, ...]
    fallers: tuple[Move, ...]
    new: tuple[Move, ...]
    gone: tuple[Move, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `es-ranking diff --output json` gives it."""
        return asdict(self)


def rank_biased_overlap(left: Sequence[str], right: Sequence[str], *, persistence: float = PERSISTENCE) -> float:
    """How alike two rankings are, the first places counting most: 1 for the same one, 0 for nothing in common.

    The extrapolated form RBO_ext of Webber, Moffat & Zobel, "A similarity measure for indefinite rankings", ACM TOIS
    28(4), 2010, eq. 32. With p the persistence, S the shorter list (s items), L the longer one (l items) and X_d how
    many items their first d places share:

        (1−p)/p · ( Σ_{d=1…l} X_d/d · p^d  +  Σ_{d=s+1…l} X_s·(d−s)/(s·d) · p^d )  +  ( (X_l−X_s)/l + X_s/s ) · p^l

    With p = 0.9 the first ten places carry 86 % of the weight.

    Args:
        left, right: ids, each once, the first place first. Two empty lists are the same one; an empty one shares
            nothing with any other.
        persistence: above 0, below 1.
    """
    short, long = sorted((left, right), key=len)
    if not short:
        return 1.0 if not long else 0.0
    p, s, whole = persistence, len(short), len(long)
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    shared, shared_at_s, total = 0, 0, 0.0
    for d, item in enumerate(long, start=1):
        other = short[d - 1] if d <= s else None
        # an item counts where the later of its two places is
        shared += item == other or item in seen_short
        shared += other is not None and other != item and other in seen_long
        seen_long.add(item)
        if other is not None:
            seen_short.add(other)
        if d == s:
            shared_at_s = shared
        beyond = shared_at_s * (d - s) / (s * d) if d > s else 0.0
        total += (shared / d + beyond) * p**d
    return (1 - p) / p * total + ((shared - shared_at_s) / whole + shared_at_s / s) * p**whole


def first_places(
    engine: Engine, index: str, fields: Sequence[str], *, size: int, filters: Sequence[Mapping[str, Any]] = ()
) -> list[list[str]]:
    """The ids of the first available items by each rank field, several fields in a request.

    Args:
        index: a generation.
        size: how many places.
        filters: clauses that items must match besides.
    """
    searches: list[tuple[str, dict[str, Any]]] = []
    for name in fields:
        query = {"bool": {"filter": [{"term": {"available": True}}, {"exists": {"field": name}}, *filters]}}
        sort = [{name: {"order": "desc"}}, {"item_id": "asc"}]
        told = {"_source": False, "stored_fields": "_none_", "docvalue_fields": ["item_id"], "track_total_hits": False}
        searches.append((index, {"size": size, "query": query, "sort": sort, **told}))
    found: list[list[str]] = []
    for start in range(0, len(searches), _SEARCHES_A_REQUEST):
        answers = engine.msearch(searches[start : start + _SEARCHES_A_REQUEST], timeout_seconds=120.0)
        found += [[hit["fields"]["item_id"][0] for hit in answer["hits"]["hits"]] for answer in answers]
    return found


def chosen(engine: Engine, alias: str, old: str | None, new: str | None) -> tuple[Published, Published]:
    """Two generations of an alias: `new` is the serving one and `old` the newest complete one before it, if not named.

    Raises:
        UsageError: no generation of that name.
        Refused: nothing serves, or there is no earlier one.
    """
    found = {published.generation.id: published for published in generations(engine, alias) if not published.half}
    for name in (old, new):
        if name is not None and name not in found:
            raise UsageError.unknown("generation", name, found, where=alias)
    after = found[new] if new else served(engine, alias)
    earlier = [published for published in found.values() if published.generation < after.generation]
    if old is None and not earlier:
        raise Refused(
            f"there is no generation before {after.generation.id}", where=alias, hint="es-ranking generations"
        )
    return (found[old] if old else earlier[-1]), after


def differences(
    engine: Engine, old: Published, new: Published, *, variant: str, segments: Sequence[str] = (), top: int = 20,
    filters: Sequence[Mapping[str, Any]] = (), persistence: float = PERSISTENCE,
) -> list[SegmentDifference]:  # fmt: skip
    """Compares the first places of a variant's segments; of all that both generations have, if none is named.

    Args:
        top: how many places are compared.
        filters: clauses that items must match, such as those of one list.

    Raises:
        UsageError: a variant or segment that one of the generations does not rank for.
    """
    known = [one.meta.rank_fields for one in (old, new)]
    for ranks in known:
        if variant not in ranks:
            raise UsageError.unknown("variant", variant, ranks)
    both = [segment for segment in known[1][variant] if segment in known[0][variant]]
    for segment in segments:
        if segment not in both:
            raise UsageError.unknown(f"segment of variant {variant} in both generations", segment, both)
    names = list(segments or both)
    fields = [rank_field(variant, segment) for segment in names]
    depth = min(_DEEPEST, max(_USUAL_DEPTH, _TIMES_TOP * top))
    orders = [first_places(engine, one.generation.index, fields, size=depth, filters=filters) for one in (old, new)]
    looked = sorted({item for lists in orders for order in lists for item in order[:top]})
    titles = [_titles(engine, one.generation.index, looked) for one in (old, new)]
    return [
        _difference(variant, segment, before, after, top=top, there=titles, persistence=persistence)
        for segment, before, after in zip(names, *orders, strict=True)
    ]


def _difference(
    variant: str, segment: str, before: Sequence[str], after: Sequence[str], *, top: int,
    there: Sequence[Mapping[str, str | None]], persistence: float,
) -> SegmentDifference:  # fmt: skip
    was, now = (dict(zip(order, count(1), strict=False)) for order in (before, after))
    old, new = before[:top], after[:top]
    left = [item for item in old if item in there[1]]

    def moves(items: Sequence[str]) -> Iterator[Move]:
        for item in items:
            yield Move(item, there[1].get(item) or there[0].get(item), was.get(item), now.get(item))

    beyond = max(len(before), len(after)) + 1
    moved = [(move, (move.before or beyond) - (move.after or beyond))
             for move in moves(sorted({*old, *new})) if all(move.item in known for known in there)]  # fmt: skip
    furthest = sorted(moved, key=lambda pair: (-abs(pair[1]), pair[0].item))
    return SegmentDifference(
        variant,
        segment,
        rbo=rank_biased_overlap(old, new, persistence=persistence),
        stay=len({*left} & {*new}) / len(left) if left else None,
        risers=tuple(move for move, up in furthest if up > 0),
        fallers=tuple(move for move, up in furthest if up < 0),
        new=tuple(moves([item for item in new if item not in there[0]])),
        gone=tuple(moves([item for item in old if item not in there[1]])),
    )


def _titles(engine: Engine, index: str, items: Sequence[str]) -> dict[str, str | None]:
    """Title of each item that is there and available."""
    documents = engine.mget(index, items, source=["title", "available"])
    return {
        item: document.get("title")
        for item, document in zip(items, documents, strict=True)
        if document is not None and document.get("available") is not False
    }
