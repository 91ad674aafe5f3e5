"""A report's figures as documents: every metric, variant and scope once, replaced when written again."""

from __future__ import annotations

from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.experiments.figures import figures_of, write_figures

FOUND: dict[str, Any] = {
    "control": 0.1, "value": 0.12, "difference": {"value": 0.02, "low": 0.01, "high": 0.03}, "p_holm": 0.01,
    "relative": {"value": 0.2, "low": 0.1, "high": 0.3}, "always_valid": None, "always_valid_p_holm": 0.2, "users": 90,
}  # fmt: skip
TOLD = {
    "experiment": "ranking", "control": "A", "to": "2026-11-03",
    "metrics": {"ctr": {"B": FOUND, "C": FOUND}, "sales_per_user": {"B": {**FOUND, "relative": None}}},
    "by_segment": {"young": {"ctr": {"B": FOUND}}},
    "by_day": [{"day": f"2026-11-0{n}", "so_far": {"ctr": {"B": FOUND}}} for n in (2, 3)],
}  # fmt: skip


def test_documents_of_every_scope(engine: Engine, index_name: str) -> None:
    assert write_figures(engine, index_name, TOLD) == 6
    assert write_figures(engine, index_name, TOLD) == 6
    assert engine.count(index_name) == 6, "written again they are replaced"
    query = {"bool": {"filter": [{"term": {"scope": "so_far"}}, {"range": {"day": {"gte": "2026-11-03"}}}]}}
    (hit,) = engine.search(index_name, {"query": query})["hits"]["hits"]
    told = hit["_source"]
    assert (told["experiment"], told["variant"], told["control_variant"], told["metric"]) == (
        "ranking",
        "B",
        "A",
        "ctr",
    )
    assert (told["difference"], told["low"], told["relative"], told["always_low"]) == (0.02, 0.01, 0.2, None)
    assert {one["scope"] for one in figures_of(TOLD)} == {"total", "segment", "so_far"}
