"""The figures of a report as documents of an index, one a metric, variant and scope: what Kibana draws from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from es_ranking.engine.contract import BulkAction, Engine
from segments.errors import RankingError
from segments.hashing import hash64

NAMES = ("experiment", "scope", "segment", "metric", "variant", "control_variant")
NUMBERS = ("control", "value", "difference", "low", "high", "relative", "p_holm", "always_low", "always_high",
           "always_valid_p_holm", "users")  # fmt: skip
MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "day": {"type": "date"},
        **{name: {"type": "keyword"} for name in NAMES},
        **{name: {"type": "double"} for name in NUMBERS},
    },
}


def figures_of(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Documents of a report (docs/ab-tests.md): scope `total`, `segment`, and `so_far` at the end of each day."""
    end = told["to"]
    yield from _documents(told, told["metrics"], {"scope": "total", "day": end})
    for segment, metrics in told["by_segment"].items():
        yield from _documents(told, metrics, {"scope": "segment", "segment": segment, "day": end})
    for day in told["by_day"]:
        yield from _documents(told, day["so_far"], {"scope": "so_far", "day": day["day"]})


def write_figures(engine: Engine, index: str, told: Mapping[str, Any]) -> int:
    """Writes them into an index, which is made when it is missing; a report written again replaces its documents.

    Raises:
        RankingError: some were refused.
    """
    if not engine.exists(index):
        engine.create_index(index, {"mappings": MAPPING})
    actions = []
    for one in figures_of(told):
        name = hash64(*(str(one.get(part, "")) for part in (*NAMES, "day")))
        actions.append(BulkAction(index, f"{name:016x}", one))
    errors = engine.bulk(actions, refresh=True).errors
    if errors:
        raise RankingError(f"{len(errors)} figures were refused: {errors[0].reason}", where=index)
    return len(actions)


def _documents(
    told: Mapping[str, Any], metrics: Mapping[str, Any], scope: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for metric, variants in metrics.items():
        for variant, found in variants.items():
            gap, always, relative = found["difference"], found["always_valid"] or {}, found["relative"] or {}
            yield {
                "experiment": told["experiment"],
                "control_variant": told["control"],
                **scope,
                "metric": metric,
                "variant": variant,
                **{name: found[name] for name in ("control", "value", "p_holm", "always_valid_p_holm", "users")},
                "difference": gap["value"],
                "low": gap["low"],
                "high": gap["high"],
                "relative": relative.get("value"),
                "always_low": always.get("low"),
                "always_high": always.get("high"),
            }
