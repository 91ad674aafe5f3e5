"""`es-ranking reindex` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from es_ranking.publish.begin import begin
from es_ranking.publish.generation import generations, serving
from es_ranking.reindex.plan import plan_reindex
from es_ranking.reindex.settings import ReindexSettings
from tests.es_ranking.publish.shop import ITEMS, NIGHT, Publisher


@pytest.fixture
def shop(published: Publisher, index_name: str, engine_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ES_URL", engine_url)
    published(NIGHT)
    return index_name


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = exit_code_of([*arguments, "--output", "json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def test_a_dry_run_prints_what_a_run_does_and_changes_nothing(
    engine: Engine, shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "publish.yaml"
    file.write_text("shards: 2\nkeyword_attributes: [colour]\nmin_disk_free_share: 0\n")
    asked = ("reindex", shop, "--settings", str(file), "--requests-per-second", "500")
    before = engine.indices(f"{shop}*")
    code, plan = run(capsys, *asked, "--dry-run")
    assert code == 0
    assert engine.indices(f"{shop}*") == before
    assert set(plan["differences"]) == {"colour", "index.number_of_shards"}
    code, done = run(capsys, *asked)
    assert code == 0
    assert (done["generation"], done["replaced"]) == (plan["generation"], plan["replaces"])
    assert set(done) == {"generation", "replaced", "documents", "caught_up", "deleted", "rounds", "blocked_seconds",
                         "seconds"}  # fmt: skip
    (state,) = engine.indices(shop)
    assert state.settings["index.number_of_shards"] == "2"
    assert engine.count(shop, {"term": {"colour": "blue"}}) == ITEMS // 2
    assert run(capsys, "rollback", shop)[0] == 0
    assert serving(engine, shop).generation.id == plan["replaces"]  # type: ignore[union-attr]


def test_a_begun_one_is_gone_on_with_or_removed(engine: Engine, shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "reindex", shop, "--resume")[0] == 3
    assert run(capsys, "reindex", shop, "--resume", "--abort")[0] == 2
    assert run(capsys, "reindex", shop, "--resume", "--shards", "3")[0] == 2
    plan = plan_reindex(engine, shop, settings=ReindexSettings())
    begin(engine, plan.publish)
    engine.close_to_writes(plan.source)
    assert run(capsys, "reindex", shop)[0] == 3
    code, found = run(capsys, "doctor", shop, "--mend")
    assert code in (0, 1)
    assert f"settings {shop}" not in {finding["check"] for finding in found}
    code, told = run(capsys, "reindex", shop, "--resume", "--slices", "2", "--dry-run")
    assert (code, told["slices"], told["generation"]) == (0, 2, plan.publish.generation)
    assert run(capsys, "reindex", shop, "--abort") == (0, {"removed": plan.publish.generation})
    assert [found.generation.id for found in generations(engine, shop)] == [plan.source]
    begin(engine, plan.publish)
    assert run(capsys, "reindex", shop, "--resume", "--max-block-seconds", "60")[1]["documents"] == ITEMS


def test_nothing_to_reindex(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "reindex", f"{shop}-none")[0] == 3
    assert run(capsys, "reindex", shop, "--requests-per-second", "0")[0] == 2
