"""Typed text keeps a relevance floor: only hits that match about as well as the best one are sorted by recommended.

Without it the most recommended item that contains one of the words stands first. The floor is a share of the best
hit's relevance, since relevance has no unit; it costs one small request on the first page, and is `min_score` from then
on. Later pages carry it behind the cursor: what is changed there changes the query, and the cursor refuses that.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from es_ranking.engine.contract import Engine
from segments.errors import UsageError

TEXT = frozenset({
    "combined_fields", "intervals", "match", "match_bool_prefix", "match_phrase", "match_phrase_prefix",
    "more_like_this", "multi_match", "query_string", "simple_query_string",
})  # fmt: skip
# Where a clause inside another one still counts for relevance (never `filter`, `must_not`, `constant_score`).
SCORED = {
    "bool": ("must", "should"), "boosting": ("positive",), "dis_max": ("queries",), "function_score": ("query",),
    "nested": ("query",),
}  # fmt: skip
MIN_SCORE = "min_score"
SIGN = "~"


def has_text(query: Any) -> bool:
    """Whether a query holds typed text that its relevance comes from."""
    if isinstance(query, list):
        return any(has_text(one) for one in query)
    if not isinstance(query, Mapping):
        return False
    inner = [inside.get(name) for kind, names in SCORED.items() if isinstance(inside := query.get(kind), Mapping)
             for name in names]  # fmt: skip
    return bool(TEXT & set(query)) or has_text(inner)


def floored(engine: Engine, index: str, body: Mapping[str, Any], share: float) -> dict[str, Any]:
    """The body with the floor as its `min_score`; unchanged without text, or where it has one of its own."""
    if not share or MIN_SCORE in body or "knn" in body or not has_text(body.get("query")):
        return dict(body)
    asked = {name: body[name] for name in ("query", "post_filter", "runtime_mappings") if name in body}
    best = engine.search(index, {**asked, "size": 1, "_source": False, "track_total_hits": False})["hits"]["hits"]
    return {**body, MIN_SCORE: best[0]["_score"] * share} if best else dict(body)


def joined(cursor: str | None, floor: float | None) -> str | None:
    """The cursor as callers get it."""
    return cursor if cursor is None or floor is None else f"{cursor}{SIGN}{struct.pack('>d', floor).hex()}"


def parted(cursor: str) -> tuple[str, float | None]:
    """The engine side's cursor, and the floor of the first page.

    Raises:
        UsageError: what stands behind the sign is no floor.
    """
    text, sign, hexed = cursor.partition(SIGN)
    if not sign:
        return text, None
    try:
        (floor,) = struct.unpack(">d", bytes.fromhex(hexed))
    except (ValueError, struct.error) as error:
        raise UsageError(
            "not a cursor of ours, or changed", where="cursor", hint="ask for the first page again"
        ) from error
    return text, float(floor)
