"""`bench publish` on the real engine: figures that hang together, and nothing left behind, whatever happens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.bench import shop
from es_ranking.bench.publishing import bench_publish
from es_ranking.bench.shop import rows, segment_names
from es_ranking.engine.contract import Disk, Engine
from es_ranking.engine.errors import EngineUnreachable
from segments.errors import Refused
from tests.contracts.faulty_engine import FaultyEngine, cut_before

KEYS = {
    "full_docs_per_second", "delta_docs_per_second", "engine_bulk_docs_per_second", "ratio_full", "ratio_delta_10pct",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_names(index_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another measurement on the same engine is none of ours."""
    monkeypatch.setattr(shop, "PREFIX", index_name)


def test_figures_hang_together_and_nothing_is_left(
    engine: Engine,
    engine_url: str,
    index_name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ES_URL", engine_url)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    code = exit_code_of(["bench", "publish", "--docs=300", "--segments=3", "--output=json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    figures: dict[str, Any] = json.loads(captured.out)
    assert figures.keys() >= KEYS
    assert all(figures[key] > 0.0 for key in KEYS)
    full, delta = figures["seconds"]["full"], figures["seconds"]["delta"]
    assert figures["full_docs_per_second"] == pytest.approx(300 / full["writing"], rel=0.1)
    assert figures["delta_docs_per_second"] == pytest.approx(30 / delta["writing"], rel=0.1)
    whole, tenth = (sum(one[part] for part in ("begin", "writing", "switch")) for one in (full, delta))
    assert figures["ratio_delta_10pct"] == pytest.approx(tenth / whole, rel=0.1)
    assert engine.indices(f"{index_name}*") == []


def test_nothing_is_left_after_a_fault(engine: Engine, index_name: str) -> None:
    with pytest.raises(EngineUnreachable, match="planned"):
        bench_publish(FaultyEngine(engine, None, None, None, cut_before), docs=300, segments=2)
    assert engine.indices(f"{index_name}*") == []


def test_a_full_disk_is_refused_before_anything_is_written(engine: Engine, index_name: str) -> None:
    class Full(FaultyEngine):
        def disk(self) -> Disk:
            # Room for one generation, not for what a measurement writes beside it.
            return Disk(free=560_000_000, total=10_000_000_000)

    full = Full(engine)
    with pytest.raises(Refused, match="not enough disk"):
        bench_publish(full, docs=20_000, segments=24)
    assert full.bulks == 0
    assert engine.indices(f"{index_name}*") == []


def test_items_are_the_same_in_every_block_and_their_scores_of_every_night_differ() -> None:
    names = segment_names(3)
    together, alone = rows(range(10), names), rows([7], names)
    assert together[7] == alone[0]
    tomorrow = rows([7], names, night=1)[0]
    assert tomorrow[1] == alone[0][1]
    assert set(tomorrow[2]["B"].values()).isdisjoint(alone[0][2]["B"].values())
