"""What a list sorted by recommended promises, checked on what was shown: for one example, or for 100,000 pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence

from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.crowding import Crowd
from es_ranking.twiddlers.interval import Gap


def nothing_lost_nothing_twice(items: Sequence[str], matching: Iterable[str]) -> None:
    """Every item that matches stands in the list once, and no other."""
    assert sorted(items) == sorted(matching)


def slices_of_one_sequence(
    whole: Sequence[str], page: Callable[[int, int], Sequence[str]], size: Callable[[], int]
) -> int:
    """Pages of any sizes, one after the other, are the whole list. Returns how many.

    Args:
        page: the items of a page, of how many were shown before and its size.
        size: of the next page.
    """
    shown: list[str] = []
    pages = 0
    while len(shown) < len(whole):
        wanted = size()
        items = page(len(shown), wanted)
        assert items == list(whole[len(shown) : len(shown) + wanted]), (len(shown), wanted)
        shown += items
        pages += 1
    return pages


def gaps_kept_or_counted(order: Sequence[Hit], gaps: Iterable[Gap], pinned: Container[str], relaxed: int) -> None:
    """No two alike stand too near, but for as many as the certificate counts.

    A pair is counted once an attribute, at the hit that was not pinned, else at the later one of two.
    """
    broken = set()
    for gap in gaps:
        for q, later in enumerate(order):
            values = set(later.attributes.get(gap.attribute, ()))
            for p in range(max(0, q - gap.gap + 1), q) if values else ():
                earlier = order[p]
                if values & set(earlier.attributes.get(gap.attribute, ())):
                    at = p if later.item_id in pinned and earlier.item_id not in pinned else q
                    broken.add((at, gap.attribute))
    assert len(broken) <= relaxed


def crowds_kept_or_counted(order: Sequence[Hit], crowd: Crowd, relaxed: int) -> None:
    """No value stands too often among the first places, but for as many as the certificate counts."""
    top = Counter(value for hit in order[: crowd.first] for value in hit.attributes.get(crowd.attribute, ()))
    assert sum(max(0, count - crowd.most) for count in top.values()) <= relaxed


def pins_at_their_slots(items: Sequence[str], pins: Mapping[str, int]) -> None:
    """Every pin that is in the list stands at its slot (counted from 1), as far as the list is that long."""
    there = {item: slot for item, slot in pins.items() if item in items}
    for item, slot in there.items():
        others = len(items) - len(there)
        # so many hits and pins there are to stand before it
        if slot - 1 <= others + sum(1 for earlier in there.values() if earlier < slot):
            assert items[slot - 1] == item


def equals_in_base_order(items: Sequence[str], base: Iterable[str], condition: Callable[[str], Hashable]) -> None:
    """Items in the same condition stand as the ranker put them."""
    alike: dict[Hashable, list[str]] = {}
    for item in base:
        alike.setdefault(condition(item), []).append(item)
    for group in alike.values():
        members = set(group)
        assert [item for item in items if item in members] == group


def never_raised(before: Sequence[str], after: Sequence[str], item: str) -> None:
    """One more action on the item did not move it up."""
    assert item not in after or after.index(item) >= before.index(item)
