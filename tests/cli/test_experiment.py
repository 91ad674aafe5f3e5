"""The doors of experiments on a real engine: begin, look, change, kill, end; every refusal with its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from tests.es_ranking.query.shop import open_shop

BY = ("--by", "ann", "--at", "2026-11-23T08:00")


pytestmark = pytest.mark.usefixtures("audited")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert exit_code_of(["experiment", *arguments, "--output", "json"]) == code
    captured = capsys.readouterr()
    if code:
        assert len(captured.err.strip().splitlines()) == 1, captured.err
    return json.loads(captured.out) if code == 0 else captured.err


def test_an_experiment_from_its_dry_run_to_its_end(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    open_shop(engine, index_name, n=5)
    begin = ("ratios", "set", index_name, "ranking", "A=0.9", "B1=0.1", *BY)
    dry = answer(capsys, *begin, "--dry-run")
    assert answer(capsys, "ratios", "history", index_name) == []
    stored = answer(capsys, *begin)
    assert stored == dry | {"stored": True}
    assert stored["changes"] == ["ranking: begun: A 0.9, B1 0.1"]
    half = answer(capsys, "ratios", "set", index_name, "ranking", "A=0.5", "B1=0.5", *BY, "--dry-run")
    assert (half["slots_moved"], half["version"], half["stored"]) == (400, 2, False)
    answer(capsys, "ratios", "set", index_name, "ranking", "--force", "boss=B1", *BY)
    told = answer(capsys, "assign", "boss", "--index", index_name)
    assert (told["experiment"], told["variant"], told["forced"]) == ("ranking", "B1", True)
    shown = answer(capsys, "ratios", "show", index_name)
    assert shown["ratios"] == {"ranking": {"A": 0.9, "B1": 0.1}}
    file = tmp_path / "experiments.json"
    file.write_text(json.dumps(shown["experiments"]), encoding="utf-8")
    for user in ("u1", "u2", "boss"):
        offline = answer(capsys, "assign", user, "--file", str(file), "--surface", "home")
        assert offline == answer(capsys, "assign", user, "--index", index_name, "--surface", "home")
    answer(capsys, "ratios", "kill", index_name, "ranking", *BY)
    assert answer(capsys, "assign", "boss", "--index", index_name)["variant"] == "A"
    answer(capsys, "ratios", "kill", index_name, "ranking", "--undo", *BY)
    answer(capsys, "ratios", "hold-out", index_name, "0.05", "--variant", "A", *BY)
    answer(capsys, "ratios", "end", index_name, "ranking", *BY)
    assert [one["changes"] for one in answer(capsys, "ratios", "history", index_name)] == [
        ["ranking: ended"],
        ["hold-out: 0 → 50 slots, A"],
        ["ranking: killed: True → False"],
        ["ranking: killed: False → True"],
        ["ranking: forced: {} → {'boss': 'B1'}"],
        ["ranking: begun: A 0.9, B1 0.1"],
    ]
    for command in (("ratios", "show", index_name), ("ratios", "history", index_name),
                    ("assign", "u1", "--index", index_name)):  # fmt: skip
        assert exit_code_of(["experiment", *command]) == 0
    assert "hold-out: 0 → 50 slots" in capsys.readouterr().out


def test_two_variants_in_one_list_by_the_same_door(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_shop(engine, index_name, n=8)
    told = answer(capsys, "ratios", "set", index_name, "duel", "A+B1=1", *BY)
    assert told["changes"] == ["duel: begun: A+B1 1"]
    assert answer(capsys, "assign", "u1", "--index", index_name)["variant"] == "A+B1"
    assert exit_code_of(["search", index_name, "--user", "u1", "--output", "json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["variant"], page["experiment"]) == ("A+B1", "duel")
    assert {hit.get("team") for hit in page["hits"]} <= {"A", "B1", None}
    answer(capsys, "ratios", "kill", index_name, "duel", *BY)
    assert answer(capsys, "assign", "u1", "--index", index_name)["variant"] == "A"
    for shares in ("A+B9=1", "A+A=1", "A+B+B1=1"):
        answer(capsys, "ratios", "set", index_name, "other", shares, *BY, code=2)
    wrong = answer(capsys, "ratios", "set", index_name, "x", "A+B1=1", "--control", "B", *BY, code=2)
    assert "unknown control 'B'" in wrong
    answer(capsys, "ratios", "hold-out", index_name, "0.05", "--variant", "A+B1", *BY, code=2)


def test_refusals(engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_shop(engine, index_name, n=5)
    assert "no experiment was ever begun" in answer(capsys, "ratios", "show", index_name, code=3)
    for ratios, message in (
        (("A=0.5", "B=0.4"), "sum to 0.9"),
        (("A=0.5", "B9=0.5"), "unknown variant 'B9'"),
        (("A=x",), "not a number"),
        (("A",), "not NAME=VALUE"),
        ((), "which ratios"),
    ):
        assert message in answer(capsys, "ratios", "set", index_name, "x", *ratios, *BY, code=2)
    good = ("ratios", "set", index_name, "x", "A=0.5", "B=0.5")
    assert "who decides this" in answer(capsys, *good, code=2)
    answer(capsys, *good, *BY)
    assert "nothing would change" in answer(capsys, *good, *BY, code=3)
    assert "unknown experiment" in answer(capsys, "ratios", "kill", index_name, "y", *BY, code=2)
    assert "where are the experiments" in answer(capsys, "assign", "u1", code=2)
    broken = tmp_path / "broken.json"
    broken.write_text('{"experiments": [{"name": "x", "owners": ["A"]}]}', encoding="utf-8")
    assert "settings are wrong" in answer(capsys, "assign", "u1", "--file", str(broken), code=2)
    assert "nothing is published" in answer(capsys, "ratios", "show", f"{index_name}-none", code=3)


def test_how_many_users_a_test_needs(capsys: pytest.CaptureFixture[str]) -> None:
    plan = ("power", "--mean", "1", "--deviation", "2", "--effect", "0.05")
    told = answer(capsys, *plan, "--daily", "10000")
    assert (told["users"], told["days"]) == (52808, 6)
    assert (told["power"], told["detectable"]) == (pytest.approx(0.8, abs=1e-3), pytest.approx(0.05, abs=1e-4))
    assert answer(capsys, *plan, "--users", "10000")["detectable"] > 0.1
    assert answer(capsys, *plan, "--variants", "3")["users"] > 1.2 * told["users"]
    assert "shares above 0" in answer(capsys, *plan, "--control", "0.9", code=2)
    assert "a power between" in answer(capsys, *plan, "--power", "1", code=2)
