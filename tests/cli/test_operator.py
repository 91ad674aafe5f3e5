"""The operator's commands, as they are typed: exit codes, one line a failure, JSON keys."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from es_ranking.publish.begin import begin
from tests.es_ranking.publish.shop import CATALOGUE, ITEMS, NIGHT, Publisher, item, plan_for, ranks, top

NEXT_NIGHT = "20171128T000000"


@pytest.fixture(autouse=True)
def _this_engine(engine_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ES_URL", engine_url)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command that succeeds prints as JSON."""
    code = exit_code_of([*arguments, "--output", "json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def test_generations_and_rollback(
    engine: Engine,
    index_name: str,
    published: Publisher,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = published(NIGHT), published(NEXT_NIGHT, turn=5)
    half = begin(engine, plan_for(engine, index_name, NEXT_NIGHT))
    rows = told(capsys, "generations", index_name)
    assert [(row["generation"], row["state"]) for row in rows] == [
        (first.generation, "kept"),
        (second.generation, "serving"),
        (half.main.removesuffix("-writing"), "half-written"),
    ]
    assert rows[0].keys() >= {"generation", "alias", "run", "as_of", "state", "documents", "rank_fields"}
    assert told(capsys, "rollback", index_name, "--dry-run")["done"] is False
    assert top(engine, index_name, "recommended", 1) == ["i035"]
    assert told(capsys, "rollback", index_name)["to"] == first.generation
    assert top(engine, index_name, "recommended", 1) == ["i000"]


def test_rollback_of_nothing_is_one_line(index_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["rollback", index_name]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "nothing is published" in captured.err


@pytest.mark.parametrize("command", [["generations", "products"], ["rollback", "products"], ["doctor"]])
def test_no_engine_is_exit_code_5(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ES_URL", f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert exit_code_of(command) == 5


def test_doctor(index_name: str, published: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    published(NIGHT)
    rows = told(capsys, "doctor", index_name, "--as-of", "2017-11-27T05:00:00")
    assert {row["check"] for row in rows} >= {"versions", "java", "engine", f"alias {index_name}"}
    assert exit_code_of(["doctor", index_name, "--as-of", "2017-12-27T05:00:00"]) == 1
    assert exit_code_of(["doctor", "--as-of", "yesterday"]) == 2


def test_node_status_names_what_is_given(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url.replace("redis://", "redis://user:secret@"))
    rows = told(capsys, "node", "status")
    assert [row["state"] for row in rows] == ["given by ES_URL", "given by REDIS_URL"]
    assert "secret" not in json.dumps(rows)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    CATALOGUE.write(tmp_path / "catalogue.json")
    rows = [
        {"item_id": item(n)["item_id"], "variant": variant, "segment": segment, "list": "FOOD", "score": score,
         "draw": score, "propensity": 1.0, "lure_probability": 0.0, "moves": [], "final": score, "rank": n + 1}
        for n in range(ITEMS)
        for variant, segments in ranks(n).items()
        for segment, score in segments.items()
    ]  # fmt: skip
    write_lines(tmp_path / "ranks.jsonl", rows)
    write_lines(tmp_path / "items.jsonl", [item(n) for n in range(ITEMS)])
    write_lines(tmp_path / "user_segments.jsonl", [{"user_id": "u1", "family": "demographic", "segment": "d_old"}])
    return tmp_path


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_publish_a_folder(engine: Engine, index_name: str, export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["publish", str(export), "--alias", index_name, "--run", NIGHT, "--default-variant", "B"]
    plan = told(capsys, *arguments, "--dry-run")
    assert (plan["documents"], plan["users"], plan["replaces"]) == (ITEMS, 1, None)
    assert engine.indices(f"{index_name}*") == []
    finished = told(capsys, *arguments)
    assert finished["generation"] == plan["generation"]
    assert top(engine, index_name, "recommended", 2) == ["i000", "i001"]
    assert engine.get(f"{index_name}-users", "u1") == {"segments": {"demographic": "d_old"}}
    why = engine.get(f"{index_name}-why", "i003")
    assert why is not None
    assert why["ranks"]["B"]["d_old"]["rank"] == 4


@pytest.mark.parametrize(
    ("table", "content", "code", "says"),
    [
        ("items", None, 2, "has no items.jsonl"),
        ("ranks", "{not json}\n", 4, "line 1 is not JSON"),
        ("ranks", "[1]\n", 4, "line 1 is not an object"),
        ("ranks", '{"item_id": "i000"}\n', 4, "a row of ranks is not one"),
        ("user_segments", '{"user_id": "u1"}\n', 4, "lacks 'segment'"),
    ],
)
def test_a_folder_that_is_wrong(
    index_name: str,
    export: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    content: str | None,
    code: int,
    says: str,
) -> None:
    file = export / f"{table}.jsonl"
    file.unlink() if content is None else file.write_text(content, encoding="utf-8")
    arguments = ["publish", str(export), "--alias", index_name, "--run", NIGHT, "--default-variant", "B"]
    assert exit_code_of(arguments) == code
    assert says in capsys.readouterr().err


def test_parquet_is_read_too(engine: Engine, index_name: str, export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [json.loads(line) for line in (export / "ranks.jsonl").read_text(encoding="utf-8").splitlines()]
    (export / "ranks.jsonl").unlink()
    parquet.write_table(pa.Table.from_pylist(rows), export / "ranks.parquet")
    arguments = ["publish", str(export), "--alias", index_name, "--run", NIGHT, "--default-variant", "B"]
    assert told(capsys, *arguments)["documents"] == ITEMS
