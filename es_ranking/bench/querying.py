"""What recommended costs: the same page sorted by price, by the rank field, and with twiddlers, taking turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.bench.others import other_ways
from es_ranking.bench.shop import AUTHOR, SETTINGS, VARIANT, documents, own_alias, plan_of, rows, segment_names
from es_ranking.engine.contract import Engine
from es_ranking.publish.locally import publish
from es_ranking.query.page import Page
from es_ranking.query.recommended import recommended
from es_ranking.schema import rank_field
from es_ranking.scripts.sorts import field_sort
from es_ranking.twiddlers.downrank import DownrankSettings, penalties
from es_ranking.twiddlers.interval import IntervalSettings
from es_ranking.twiddlers.settings import Surface
from segments.catalogue import ALL

PAGE, DEEP = 40, 25
_ACTIONS, _SEEN_AMONG = 500, 2_000
_WARM = 5
_BLOCK = 8_000
_OTHERS_EVERY = 8
_USER, NOON = "u1", datetime(2026, 1, 1, 12, tzinfo=UTC)
CASES: dict[str, dict[str, Any]] = {
    "category": {"bool": {"filter": [{"term": {"category": "SHOP>C7"}}]}},
    "match_all": {"match_all": {}},
}
SURFACE = Surface.of(
    {
        "name": "bench",
        "twiddlers": [
            {"kind": "downrank", "actions": {"view": {"threshold": 1, "factor": 0.5}}},
            {"kind": "interval", "gaps": [
                {"attribute": "brand_id", "gap": 4, "priority": 2}, {"attribute": AUTHOR, "gap": 3}]},
        ],
    }
)  # fmt: skip


@dataclass(frozen=True)
class _Way:
    """One way to run a page: which twiddlers, from which hit on, and after how many pages, by their cursors."""

    twiddlers: Sequence[str]
    start: int = 0
    before: int = 0


# Beside these `plain`, to which they are compared.
WAYS = {
    "field": _Way(()),
    "downrank": _Way(("downrank",)),
    "interval": _Way(("interval",)),
    "all_together": _Way(("downrank", "interval")),
    "page_25": _Way(("downrank", "interval"), before=DEEP - 1),
    "page_25_at_once": _Way(("downrank", "interval"), start=(DEEP - 1) * PAGE),
}


def bench_query(
    engine: Engine, *, docs: int, segments: int, blocks: int = 40, on_stage: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Publishes `docs` items with a rank field for each of `segments`, and asks for pages of 40 in every way.

    All ways of a case ask for the same query, `_source` and `track_total_hits`. In each block each of them runs once,
    a ratio is the median over blocks of its time to that of `plain` (sorted by price alone, page 1) in the same block.
    The user has 500 views among the first 2,000 of the two lists; the interval keeps brands 4 and authors 3 apart.
    `page_25` is asked for after pages 1 to 24, by their cursors; `page_25_at_once` by `from`, with nothing before it.
    What people do without a planner (others.py) is asked every eighth block.

    Returns:
        `cases`: by case and way p50 and p95; `ratios`: `<way>_<case>`; `page_25_to_page_1`: by case.

    Raises:
        Refused: the engine has no room.
    """
    with own_alias(engine) as alias:
        on_stage(f"publishing {docs} documents")
        open_shop(engine, alias, docs, segments)
        actions = views(engine, alias)
        cases: dict[str, dict[str, dict[str, float]]] = {}
        ratios: dict[str, float] = {}
        deep: dict[str, float] = {}
        for case, query in CASES.items():
            on_stage(f"asking: {case}")
            taken = _asked(engine, alias, query, actions, blocks)
            cases[case] = {
                way: {
                    "p50_ms": round(float(np.percentile([*times.values()], 50)), 3),
                    "p95_ms": round(float(np.percentile([*times.values()], 95)), 3),
                }
                for way, times in taken.items()
            }
            ratios |= {f"{way}_{case}": _ratio(times, taken["plain"]) for way, times in taken.items() if way != "plain"}
            deep[case] = _ratio(taken["page_25"], taken["all_together"])
    return {
        "docs": docs, "segments": segments, "blocks": blocks, "cases": cases, "ratios": ratios,
        "page_25_to_page_1": deep,
    }  # fmt: skip


def open_shop(engine: Engine, alias: str, docs: int, segments: int) -> None:
    names = segment_names(segments)
    made = (
        pair
        for start in range(0, docs, _BLOCK)
        for pair in documents(rows(range(start, min(start + _BLOCK, docs)), names))
    )
    plan = plan_of(engine, alias, count=docs, segments=segments)
    publish(engine, plan, documents=made, settings=SETTINGS)


def views(engine: Engine, alias: str) -> MemoryActionStore:
    """Half of the views among the first of each list: what a user has seen stands where he will look again."""
    rng = np.random.default_rng(1)
    seen: list[str] = []
    for query in CASES.values():
        body = {
            "query": query, "size": _SEEN_AMONG, "sort": field_sort(rank_field(VARIANT, ALL), "item_id"),
            "_source": False,
        }  # fmt: skip
        first = [hit["_id"] for hit in engine.search(alias, body)["hits"]["hits"]]
        seen += rng.choice(first, size=min(_ACTIONS // 2, len(first)), replace=False).tolist()
    store = MemoryActionStore(limit=_ACTIONS)
    store.record(
        [Action(_USER, item, "view", NOON - timedelta(minutes=1 + at), f"e{at}") for at, item in enumerate(seen)]
    )
    return store


def _asked(
    engine: Engine, alias: str, query: dict[str, Any], actions: MemoryActionStore, blocks: int
) -> dict[str, dict[int, float]]:
    """Milliseconds by way and block; the first blocks only warm up."""
    body = {
        "query": query, "size": PAGE, "_source": ["title", "brand_id", "list", "price"], "track_total_hits": 10_000,
    }  # fmt: skip

    def plain() -> None:
        engine.search(alias, {**body, "sort": [{"price": "asc"}]})

    def page(way: _Way, cursor: str | None = None) -> Page:
        asked = body if cursor else {**body, "from": way.start}
        return recommended(engine, alias, asked, user=_USER, segment=ALL, surface=SURFACE, twiddlers=way.twiddlers,
                           actions=actions, at=NOON, cursor=cursor)  # fmt: skip

    def by(way: _Way) -> Callable[[], object]:
        """The page to time; those before it are asked first."""
        cursor = None
        for _ in range(way.before):
            cursor = page(way, cursor).cursor
        return partial(page, way, cursor)

    seen = actions.counts(_USER, NOON, timedelta(days=28))
    (demoted, kept_apart) = SURFACE.twiddlers
    assert isinstance(demoted, DownrankSettings)
    assert isinstance(kept_apart, IntervalSettings)
    others = other_ways(
        engine, alias, body, field=rank_field(VARIANT, ALL),
        factors={item: penalty.factor for item, penalty in penalties(seen, demoted).items()},
        gaps={gap.attribute: gap.gap for gap in kept_apart.gaps},
    )  # fmt: skip
    names = ["plain", *WAYS, *others]
    taken: dict[str, dict[int, float]] = {name: {} for name in names}
    for block in range(_WARM + blocks):
        for name in names[block % len(names) :] + names[: block % len(names)]:
            if name in others and block and (block - _WARM) % _OTHERS_EVERY:
                continue
            ask = others.get(name) or (plain if name == "plain" else by(WAYS[name]))
            began = time.perf_counter()
            ask()
            if block >= _WARM:
                taken[name][block] = (time.perf_counter() - began) * 1000
    return taken


def _ratio(ours: dict[int, float], theirs: dict[int, float]) -> float:
    """The median over the blocks that have both."""
    return round(statistics.median(time / theirs[block] for block, time in ours.items()), 4)
