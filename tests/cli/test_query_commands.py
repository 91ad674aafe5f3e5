"""search, explain and actions, from the command line to the real servers; every refusal with its exit code."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from tests.es_ranking.query.shop import open_shop


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch, engine: Engine, redis_url: str) -> None:
    monkeypatch.setenv("ES_URL", engine.url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.delenv("ES_RANKING_CURSOR_KEY", raising=False)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert exit_code_of([*arguments]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out) if code == 0 else captured.err


def test_a_user_pages_through_a_list_and_sees_why(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_shop(engine, index_name, n=40)
    monkeypatch.setenv("ES_RANKING_CURSOR_KEY", "a key of sixteen bytes or more")
    user = f"u-{uuid4()}"
    search = ("search", index_name, "--user", user, "--query", '{"term": {"category": "FOOD"}}', "--size", "6")
    before = answer(capsys, *search, "--output", "json")
    assert before["segment"] == "all"
    assert before["certificate"].startswith(("exact", "relaxed("))
    top = before["hits"][0]["item"]
    assert answer(capsys, "actions", "record", "--user", user, "--item", top, "--kind", "purchase", "--ts",
                  "2020-01-01T00:00:00", "--event-id", "e1", "--output", "json") == {"recorded": 1}  # fmt: skip
    assert answer(capsys, "actions", "show", user, "--output", "json") == [], "too long ago"
    shown = answer(capsys, "actions", "show", user, "--as-of", "2020-01-02", "--output", "json")
    assert shown == [{"item": top, "purchase": 1}]
    after = answer(capsys, *search, "--at", "2020-01-02", "--explain", "--output", "json")
    assert after["hits"][0]["item"] != top
    more = answer(capsys, *search[:-1], "40", "--at", "2020-01-02", "--explain", "--output", "json")
    moves = next(hit["moves"] for hit in more["hits"] if hit["item"] == top)
    assert moves[0]["reason"] == "purchase x1: score x 0.5"
    following = answer(capsys, *search, "--cursor", after["cursor"], "--output", "json")
    assert [hit["item"] for hit in after["hits"] + following["hits"]] == [hit["item"] for hit in more["hits"]][:12]
    assert exit_code_of([*search, "--explain", "--at", "2020-01-02"]) == 0
    assert "place" in capsys.readouterr().out
    assert answer(capsys, "actions", "forget", user, "--output", "json") == {"user": user, "removed": 1}


def test_explain(engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    open_shop(engine, index_name, n=10, why={"p001": {"B": {"all": {"score": 0.25, "rank": 1}}}})
    told = answer(capsys, "explain", "p001", "--segment", "all", "--index", index_name, "--output", "json")
    assert (told["score"], told["rank"], told["field"]) == (0.25, 1, "rank.B.all")
    assert "no item" in answer(capsys, "explain", "p999", "--segment", "all", "--index", index_name, code=2)


def test_refusals(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_shop(engine, index_name, n=10)
    cases = {
        ("--segment", "d_yuong"): (2, "known: d_young"),
        ("--variant", "C"): (2, "unknown variant"),
        ("--cursor", "forged.cursor"): (2, "not a cursor of ours"),
        ("--query", "{"): (2, "not valid JSON"),
        ("--query", "[]"): (2, "a query is a JSON object"),
        ("--query", '{"size": 1, "sort": ["price"]}'): (2, "sort of its own"),
        ("--query", '{"no_such_query": {}}'): (1, "no_such_query"),
        ("--without", "magic"): (2, "unknown twiddler"),
        ("--surface", "nowhere"): (2, "unknown surface"),
        ("--at", "yesterday"): (2, "not a time"),
    }
    for arguments, (code, message) in cases.items():
        assert message in answer(capsys, "search", index_name, *arguments, code=code), arguments
    assert "t-nothing" in answer(capsys, "search", "t-nothing", code=3)
    assert "needs --user" in answer(capsys, "actions", "record", "--user", "u", code=2)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert "does not answer" in answer(capsys, "actions", "show", "u", code=5)
    page = answer(capsys, "search", index_name, "--user", "ann", "--output", "json")
    assert page["flags"] == ["actions_unavailable"]
    assert page["cursor"] is None, "no lasting key, no cursor to hand on"
    monkeypatch.setenv("ES_URL", "http://127.0.0.1:1")
    answer(capsys, "search", index_name, code=5)


def test_many_actions_from_stdin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    user = f"u-{uuid4()}"
    lines = [
        json.dumps(
            {"user": user, "item": f"i{n % 2}", "kind": "view", "ts": f"2020-01-01T00:0{n}:00Z", "event_id": f"e{n}"}
        )
        for n in range(5)
    ]
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        assert answer(capsys, "actions", "record", "--output", "json") == {"recorded": 5}
    shown = answer(capsys, "actions", "show", user, "--as-of", "2020-01-02", "--output", "json")
    assert shown == [{"item": "i0", "view": 3}, {"item": "i1", "view": 2}]
    answer(capsys, "actions", "forget", user, "--output", "json")
    monkeypatch.setattr("sys.stdin", io.StringIO('{"user": "u"}'))
    assert "stdin:1" in answer(capsys, "actions", "record", code=4)
