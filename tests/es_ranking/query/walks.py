"""Random lists on a real engine, paged through as readers do; whatever a list promises is checked on what they saw."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import Engine
from es_ranking.query import recommended
from es_ranking.query.page import Page
from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.downrank import DownrankSettings, Penalty, penalties
from es_ranking.twiddlers.interval import Gap
from es_ranking.twiddlers.settings import Surface
from tests.contracts import pages
from tests.es_ranking.query.shop import NOON

KEY = b"a key of sixteen bytes or more"
LISTS = ("SOUP", "RICE", "TEA", "PASTA")
KINDS = ("purchase", "view", "click")
DEPTH = 10_000


def walk(engine: Engine, aliases: Sequence[str], documents: dict[str, dict[str, Any]], seed: int) -> int:
    """One reader of one random list, in the same catalogue under several aliases (of other numbers of shards).

    Returns:
        How many pages he saw.
    """
    rng = random.Random(seed)
    lists = rng.choice([LISTS, rng.sample(LISTS, 3), rng.sample(LISTS, 1)])
    body: dict[str, Any] = {"query": {"bool": {"filter": [{"terms": {"list": list(lists)}}]}}}
    matching = [item for item, document in documents.items() if document["list"] in lists]
    gaps = (Gap(attribute="brand_id", gap=rng.randint(2, 5), priority=2), Gap(attribute="list", gap=rng.randint(1, 3)))
    pins = dict(zip(rng.sample(sorted(documents), 4), rng.sample(range(1, 40), 4), strict=True))
    downrank = DownrankSettings.of(
        {"window_days": 7, "actions": {
            "purchase": {"factor": 0.5}, "view": {"threshold": 2, "places": rng.randint(1, 9)},
            "click": {"not_in_first": rng.randint(1, 20)}}}
    )  # fmt: skip
    surface = Surface.of(
        {"name": "walked", "at_once": rng.choice([0, 50, 500]), "twiddlers": [
            downrank.model_dump(),
            {"kind": "interval", "look_ahead": rng.choice([5, 60]), "gaps": [gap.model_dump() for gap in gaps]},
            {"kind": "pins", "pins": [{"item": item, "slot": slot} for item, slot in pins.items()]}]}
    )  # fmt: skip
    actions = MemoryActionStore()
    for number in range(rng.randint(0, 60)):
        _act(actions, rng.choice(sorted(documents)), rng.choice(KINDS), number)
    variant = rng.choice([None, None, "A+B1"])
    asked: dict[str, Any] = {
        "user": "ann", "at": NOON, "surface": surface, "actions": actions, "key": KEY, "variant": variant,
    }  # fmt: skip
    ways = ("auto", "at_once", "plan_then_fetch", "script")

    def whole(alias: str, **changed: Any) -> Page:
        return recommended(engine, alias, {**body, "size": len(documents)}, **{**asked, **changed})

    seen = 0
    first = whole(aliases[0])
    pages.nothing_lost_nothing_twice(first.items, matching)
    order = [
        Hit(item, None, {gap.attribute: (documents[item][gap.attribute],) for gap in gaps
                         if gap.attribute in documents[item]})
        for item in first.items
    ]  # fmt: skip
    relaxed = 0 if first.certificate == "exact" else int(first.certificate[len("relaxed(") : -1])
    matching_pins = {item: slot for item, slot in pins.items() if item in matching}
    pages.gaps_kept_or_counted(order, gaps, matching_pins, relaxed)
    pages.pins_at_their_slots(first.items, matching_pins)
    for alias in aliases:
        cursor: str | None = None

        def page(start: int, size: int, alias: str = alias) -> list[str]:
            nonlocal cursor
            found = recommended(
                engine, alias, {**body, "size": size}, cursor=cursor, way=rng.choice(ways), **asked
            )  # fmt: skip
            cursor = found.cursor
            return found.items

        seen += pages.slices_of_one_sequence(first.items, page, lambda: rng.randint(1, 30))
    alone: dict[str, Any] = {"twiddlers": ["downrank"], "way": rng.choice(ways)}
    base, before = whole(aliases[0], twiddlers=[]).items, whole(aliases[-1], **alone).items
    by_item = penalties(actions.counts("ann", NOON, timedelta(days=7)), downrank)
    if variant is None:
        # of two interleaved lists each keeps its order, not the draft
        pages.equals_in_base_order(before, base, lambda item: by_item.get(item, Penalty()))
    item = rng.choice(matching)
    _act(actions, item, rng.choice(KINDS), 999)
    pages.never_raised(before, whole(aliases[-1], **alone).items, item)
    return seen + 4


def _act(actions: MemoryActionStore, item: str, kind: str, number: int) -> None:
    actions.record([Action("ann", item, kind, NOON - timedelta(hours=1, seconds=number), f"e{number}")])
