"""What people do without a planner, to measure beside it: each a body or two for the engine, none of it used elsewhere.

`function_score` and `script_sort` lower what the user has seen, for every hit, and keep nothing apart; `collapse` shows
one item a brand, and forgets what was seen; `scripted_metric` does both inside the engine, then fetches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from itertools import count
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.scripts.sorts import downrank_sort, field_sort
from es_ranking.scripts.store import ensure_scripts

Body = dict[str, Any]
Items = list[str]
_KEEP = 300


def other_ways(
    engine: Engine, alias: str, body: Mapping[str, Any], *, field: str, factors: Mapping[str, float],
    gaps: Mapping[str, int],
) -> dict[str, Callable[[], Items]]:  # fmt: skip
    """Name → runs the page that way and gives its item ids.

    Args:
        body: the caller's, without a sort.
        field: rank field.
        factors: item → multiplier of what the user has seen.
        gaps: two attributes and their gaps.
    """
    ensure_scripts(engine)
    item = "item_id"

    def run(asked: Body) -> Items:
        return [hit["_id"] for hit in engine.search(alias, asked)["hits"]["hits"]]

    lowered: list[Body] = [
        {"filter": {"terms": {item: [one for one, held in factors.items() if held == factor]}}, "weight": factor}
        for factor in sorted(set(factors.values()))
    ]
    ranked = {"field_value_factor": {"field": field, "missing": 0.0}}
    scored = {"query": body["query"], "functions": [ranked, *lowered], "score_mode": "multiply",
              "boost_mode": "replace"}  # fmt: skip
    metric = _metric(field, item, factors, gaps, body["size"])

    asks = count()

    def inside() -> Items:
        # the engine would remember the answer to the same question, and no two users ask the same
        params = {**metric["params"], "ask": next(asks)}
        asked = {"query": body["query"], "size": 0, "aggs": {"page": {"scripted_metric": {**metric, "params": params}}},
                 "track_total_hits": body["track_total_hits"]}  # fmt: skip
        order: Items = engine.search(alias, asked)["aggregations"]["page"]["value"]
        found = engine.search(
            alias, {"query": {"terms": {item: order}}, "size": len(order), "_source": body["_source"]}
        )
        there = {hit["_id"] for hit in found["hits"]["hits"]}
        return [one for one in order if one in there]

    return {
        "function_score": lambda: run({**body, "query": {"function_score": scored}}),
        "script_sort": lambda: run({**body, "sort": downrank_sort(field, item, factors)}),
        "collapse": lambda: run({**body, "sort": field_sort(field, item), "collapse": {"field": next(iter(gaps))}}),
        "scripted_metric": inside,
    }


def _metric(field: str, item: str, factors: Mapping[str, float], gaps: Mapping[str, int], wanted: int) -> Body:
    text = files(__package__).joinpath("list.painless").read_text(encoding="utf-8")
    parts: dict[str, Sequence[str]] = {
        name.strip(): source for name, _, source in (part.partition("\n") for part in text.split("\n//# ")[1:])
    }
    params = {"field": field, "item_field": item, "penalties": dict(factors), "attributes": list(gaps),
              "gaps": list(gaps.values()), "keep": _KEEP, "wanted": wanted}  # fmt: skip
    return {**{f"{name}_script": source for name, source in parts.items()}, "params": params}
