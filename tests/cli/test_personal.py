"""Clicks into tastes from the command line; every refusal with its exit code."""

from __future__ import annotations

import io
import json
from uuid import uuid4

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from es_ranking.schema import VECTOR
from tests.cli.test_query_commands import answer
from tests.es_ranking.query.shop import open_shop


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch, engine: Engine, redis_url: str) -> None:
    monkeypatch.setenv("ES_URL", engine.url)
    monkeypatch.setenv("REDIS_URL", redis_url)


def test_clicks_graduate_a_user(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = f"product-{uuid4()}"
    documents = open_shop(engine, index_name, n=60, space=space)
    items = [item for item, document in documents.items() if VECTOR in document][:30]
    lines = [
        {"user": "ann", "item": item, "kind": kind, "ts": "2020-01-01T00:00:00", "event_id": f"{kind}-{item}"}
        for kind in ("click", "view")
        for item in items
    ]
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(json.dumps(line) for line in lines)))
        assert answer(capsys, "personal", "click", index_name, "--output", "json") == {"read": 60, "added": 30}
    told = answer(capsys, "personal", "show", index_name, "ann", "--output", "json")
    assert (told["clicks"], told["segment"], told["space"], len(told["own"])) == (30, "d_young", space, 3)
    early = ("personal", "show", index_name, "ann", "--as-of", "2019-01-01", "--output", "json")
    assert answer(capsys, *early)["clicks"] == 0
    search = ("search", index_name, "--user", "ann", "--size", "60", "--explain", "--output", "json")
    own = answer(capsys, *search)
    assert "personal" in {move["stage"] for hit in own["hits"] for move in hit.get("moves", [])}
    off = answer(capsys, *search, "--without", "personal")
    assert "personal" not in {move["stage"] for hit in off["hits"] for move in hit.get("moves", [])}
    forget = ("personal", "forget", index_name, "ann", "--output", "json")
    assert answer(capsys, *forget) == {"user": "ann", "removed": True}
    assert answer(capsys, *forget) == {"user": "ann", "removed": False}


def test_refusals(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_shop(engine, index_name, n=5)
    assert "no item vectors" in answer(capsys, "personal", "show", index_name, "ann", code=3)
    assert "no item vectors" in answer(capsys, "personal", "forget", index_name, "ann", code=3)
    monkeypatch.setattr("sys.stdin", io.StringIO("not json"))
    assert "not an action" in answer(capsys, "personal", "click", index_name, code=4)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert exit_code_of(["personal", "click", "no-such-index"]) == 3
    assert "no-such-index" in capsys.readouterr().err
