"""From rows to documents: pure functions, compared whole in tests. What is sent to the engine is made here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from es_ranking.schema import VECTOR, rank_field
from es_ranking.tastes.vectors import to_text
from segments.errors import ContractBroken

PATH_JOINT = ">"
# The columns of a rank row whose values explain it; `final` is what the rank field holds.
WHY_COLUMNS = ("score", "draw", "propensity", "lure_probability", "moves", "final", "rank", "list")


def main_document(
    item: Mapping[str, Any],
    ranks: Mapping[str, Mapping[str, float]],
    *,
    list_name: str | None = None,
    keyword_attributes: Sequence[str] = (),
) -> dict[str, Any]:
    """The document of one item.

    Args:
        item: a row of the items table; nulls are left out. Its `packed` is the vector of the personal re-sort, if any.
        ranks: variant → segment → final score, finite and positive.
        list_name: the list the item stands in at night.

    Raises:
        ContractBroken: a score that cannot order (not finite, not positive), or a row without item_id.
    """
    item_id = item.get("item_id")
    if not item_id:
        raise ContractBroken("an item row without item_id")
    path = [str(part) for part in _listed(item.get("category"))]
    attributes = {str(key): value for key, value in dict(item.get("attributes") or {}).items() if value is not None}
    document = {
        "item_id": item_id,
        "kind": item.get("kind"),
        "title": item.get("title"),
        "text": item.get("text"),
        "brand_id": item.get("brand_id"),
        "category": [PATH_JOINT.join(path[: depth + 1]) for depth in range(len(path))] or None,
        "list": list_name,
        "price": _finite(item.get("price")),
        "created_at": _instant(item.get("created_at")),
        "available": _plain(item.get("available")),
        "store_id": item.get("store_id"),
        "attributes": attributes or None,
        **{name: attributes.get(name) for name in keyword_attributes},
        VECTOR: to_text(item["packed"]) if item.get("packed") else None,
    }
    kept = {key: value for key, value in document.items() if value is not None}
    kept["rank"] = {variant: _scores(segments, variant, item_id) for variant, segments in ranks.items()}
    return kept


def why_document(rows: Iterable[Mapping[str, Any]], *, places: int) -> dict[str, Any] | None:
    """Why one item stands where it stands: `ranks.<variant>.<segment>` → its reasons, for the first places of a list.

    Args:
        rows: the item's rows of the ranks table.
        places: how far down a list reasons are kept.

    Returns:
        None if the item is nowhere among the first places.
    """
    ranks: dict[str, dict[str, Any]] = {}
    for row in rows:
        if int(row["rank"]) <= places:
            reasons = {name: _plain(row[name]) for name in WHY_COLUMNS if name in row}
            ranks.setdefault(row["variant"], {})[row["segment"]] = reasons
    return {"ranks": ranks} if ranks else None


def user_document(segments: Mapping[str, str]) -> dict[str, Any]:
    """One user's segment in each family."""
    return {"segments": dict(segments)}


def _scores(segments: Mapping[str, float], variant: str, item_id: str) -> dict[str, float]:
    values = segments.values()
    # all at once, a document has hundreds: where one is not finite their sum is not either
    if values and not (min(values) > 0.0 and math.isfinite(sum(values))):
        for segment, score in segments.items():
            if not math.isfinite(score) or score <= 0.0:
                raise ContractBroken(f"item {item_id} has the score {score}", where=rank_field(variant, segment))
    return dict(segments)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [part for part in value if part is not None]


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else float(value)


def _instant(value: Any) -> str | None:
    """UTC, ISO. Tables hold times without a zone, and they are UTC; a missing one may come as NaT."""
    if value is None or str(value) == "NaT":
        return None
    if isinstance(value, str):
        return value
    if not isinstance(value, datetime):
        return value.isoformat() if isinstance(value, date) else str(value)
    return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()


def _plain(value: Any) -> Any:
    """numpy scalars and arrays as JSON knows them."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, tuple) else value
