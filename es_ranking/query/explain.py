"""Why an item stands where it stands at night: model score, draw, lure, policy, rank."""

from __future__ import annotations

from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import IndexMissing
from es_ranking.query.audience import Audience
from segments.errors import UsageError

REASONS = ("list", "rank", "score", "draw", "propensity", "lure_probability", "final", "moves")


def explain(
    engine: Engine, index: str, item: str, *, segment: str | None = None, variant: str | None = None,
    user: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The night's reasons for one item in one segment.

    Returns:
        `item`, `generation`, `variant`, `segment`, `field`, `value` (the rank field, None if unranked), `kept` (whether
        reasons were kept: they are for the first places of each list), and the reasons: `list`, `rank`, `score` (the
        model's), `draw` (exploration's), `propensity`, `lure_probability`, `final`, `moves`.

    Raises:
        UsageError: no such item, segment or variant.
        IndexMissing, Refused: nothing is published under this name.
    """
    audience = Audience(engine)
    served = audience.resolve(index, user=user, segment=segment, variant=variant)
    if served.versus is not None:
        raise UsageError(f"two variants: {served.named}", hint="ask for one of them: each has reasons of its own")
    document = engine.get(served.index, item)
    if document is None:
        raise UsageError(f"no item {item!r} in generation {served.generation}", where=index)
    try:
        why = engine.get(served.why_index, item) or {}
    except IndexMissing:
        why = {}
    reasons = why.get("ranks", {}).get(served.variant, {}).get(served.segment, {})
    return {
        "item": item,
        "title": document.get("title"),
        "generation": served.generation,
        "variant": served.variant,
        "segment": served.segment,
        "field": served.field,
        "value": document.get("rank", {}).get(served.variant, {}).get(served.segment),
        "kept": bool(reasons),
        **{name: reasons.get(name) for name in REASONS},
    }
