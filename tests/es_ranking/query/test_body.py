"""The caller's body, taken apart: what is kept, what is refused. Compared whole, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from es_ranking.query.body import take_apart
from segments.errors import UsageError

BODY: dict[str, Any] = {
    "query": {"term": {"list": "SOUP"}},
    "post_filter": {"term": {"brand_id": "acme"}},
    "aggs": {"x": {"terms": {"field": "list"}}},
    "_source": ["title"],
    "from": 20,
    "size": 5,
    "sort": [{"recommended": {"order": "desc"}}],
}
SORT = [{"rank.B.all": "desc"}]


def test_bodies_of_the_ways() -> None:
    asked = take_apart(BODY, max_window=100)
    assert (asked.start, asked.size) == (20, 5)
    rest = {key: BODY[key] for key in ("query", "post_filter", "aggs")}
    assert asked.body(SORT, start=20, size=5) == {**rest, "_source": ["title"], "sort": SORT, "from": 20, "size": 5}
    assert asked.plan_body(SORT, ["brand_id"], size=65) == {
        **rest, "docvalue_fields": ["brand_id"], "stored_fields": "_none_", "sort": SORT, "from": 0, "size": 65,
    }  # fmt: skip
    assert asked.fetch_body("item_id", ["a", "b"]) == {
        "_source": ["title"],
        "query": {"bool": {"filter": [{"terms": {"item_id": ["a", "b"]}}], "must": [BODY["query"]]}},
        "sort": [{"item_id": "asc"}],
        "size": 2,
        "track_total_hits": False,
    }
    assert asked.without([{"terms": {"item_id": ["a", "b"]}}]).chosen["query"] == {
        "bool": {"must_not": [{"terms": {"item_id": ["a", "b"]}}], "must": [BODY["query"]]}
    }


def test_what_is_left_out_is_left_out_of_the_nearest_vectors_too() -> None:
    knn = {"field": "v", "query_vector": [1.0], "k": 5, "filter": {"term": {"list": "SOUP"}}}
    out = {"bool": {"must_not": [{"term": {"item_id": "a"}}]}}
    alone = take_apart({"knn": knn}, max_window=100).without([{"term": {"item_id": "a"}}])
    assert alone.chosen == {"knn": {**knn, "filter": [knn["filter"], out]}}, "no query joins, it would match everything"
    both = take_apart({"knn": [knn], "query": {"match_all": {}}}, max_window=100).without([{"term": {"item_id": "a"}}])
    assert both.chosen["knn"][0]["filter"][1] == out
    assert both.chosen["query"]["bool"]["must_not"] == [{"term": {"item_id": "a"}}]


def test_a_cursor_is_bound_to_what_chooses_hits_not_to_what_is_shown_or_counted() -> None:
    base = take_apart(BODY, max_window=100).spec
    shown = {**BODY, "_source": False, "size": 9, "aggs": {}, "track_total_hits": True}
    assert take_apart(shown, max_window=100).spec == base
    assert take_apart({**BODY, "min_score": 1}, max_window=100).spec != base


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sort": [{"price": "asc"}]}, "sort of its own"),
        ({"sort": ["recommended", "_score"]}, "sort of its own"),
        ({"search_after": [1]}, "search_after"),
        ({"rescore": {}}, "rescore"),
        ({"pit": {}}, "pit"),
        ({"size": -1}, "`size`"),
        ({"from": "7"}, "`from`"),
        ({"size": True}, "`size`"),
        ({"from": 96}, "page too deep"),
    ],
)
def test_what_cannot_be_combined_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        take_apart({**BODY, **change}, max_window=100)


def test_a_body_that_is_none() -> None:
    with pytest.raises(UsageError, match="mapping"):
        take_apart([], max_window=100)  # type: ignore[arg-type]
