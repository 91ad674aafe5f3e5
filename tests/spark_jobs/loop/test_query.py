"""Pages in arrays are those of a search: the rank's order, then the twiddlers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from spark_jobs.loop.query import plan_page, time_of

HITS = [Hit(f"p{n}", 1.0 - n / 100, {"brand_id": (f"b{n // 4}",)}) for n in range(40)]


def test_without_twiddlers_the_order_is_the_ranks() -> None:
    assert plan_page(HITS, (), {}, size=6) == [f"p{n}" for n in range(6)]
    assert plan_page(HITS[:3], (), {}, size=6) == ["p0", "p1", "p2"]


def test_what_was_clicked_moves_down_and_brands_keep_their_distance() -> None:
    down = DownrankSettings(window_days=7, actions={"click": Degree(factor=0.5)})
    page = plan_page(HITS, (down,), {"p0": {"click": 1}}, size=40)
    assert page[0] == "p1"
    # Half of 1.0 is less than the last one's 0.61.
    assert page[-1] == "p0"
    apart = plan_page(HITS, (IntervalSettings(gaps=(Gap(attribute="brand_id", gap=3),)),), {}, size=9)
    brands = [int(item[1:]) // 4 for item in apart]
    assert all(brands[n] != brands[m] for n in range(9) for m in range(n + 1, min(9, n + 3)))


def test_a_time_in_microseconds() -> None:
    assert time_of(86_400_000_001) == datetime(1970, 1, 2, tzinfo=UTC) + timedelta(microseconds=1)
