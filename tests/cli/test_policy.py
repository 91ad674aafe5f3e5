"""The policy's doors, on a real engine: put, look, preview, roll back; every refusal with its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from tests.es_ranking.query.shop import open_shop

pytestmark = pytest.mark.usefixtures("audited")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert exit_code_of(["policy", *arguments, "--output", "json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out) if code == 0 else captured.err


def write(tmp_path: Path, slot: int, **campaign: Any) -> str:
    file = tmp_path / "policy.json"
    pins = [{"item": "p007", "slot": slot}, {"item": "nobody", "slot": 9}]
    file.write_text(json.dumps({"campaigns": [{"name": "front", "pins": pins, **campaign}]}), encoding="utf-8")
    return str(file)


def test_a_policy_from_the_dry_run_to_the_way_back(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_shop(engine, index_name, n=30)
    monday = ("--at", "2026-11-23T08:00")
    assert "no policy was ever put" in answer(capsys, "show", index_name, code=3)
    dry = answer(capsys, "put", index_name, write(tmp_path, 2), "--by", "ann", *monday, "--dry-run")
    assert answer(capsys, "history", index_name) == []
    stored = answer(capsys, "put", index_name, write(tmp_path, 2), "--by", "ann", *monday)
    assert stored == dry | {"stored": True}
    assert stored["changes"] == ["front: added", "front: pin of p007: slot 2", "front: pin of nobody: slot 9"]
    assert (stored["version"], stored["at"], stored["by"]) == (1, "2026-11-23T08:00:00+00:00", "ann")

    def shown(*arguments: str) -> Any:
        assert exit_code_of([*arguments, "--output", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    live = shown("search", index_name, "--explain")
    assert (live["hits"][1]["item"], live["policy"], live["campaigns"]) == ("p007", 1, ["front"])
    assert live["hits"][1]["moves"][-1]["reason"] == "pinned at 2 by front"
    # a file that is not in force, at a time when its campaign holds and when not, then as it is in force
    later = write(tmp_path, 4, starts="2026-12-01T00:00", zone="Europe/Berlin")
    for at, place in (("2026-11-30T22:59", None), ("2026-11-30T23:00", 3)):
        told = answer(capsys, "preview", index_name, "--file", later, "--at", at)
        assert bool(told["campaigns"]) == (place is not None)
        assert place is None or told["hits"][place]["item"] == "p007"
    monkeypatch.setenv("ES_RANKING_BY", "bob")
    assert answer(capsys, "put", index_name, later, "--note", "advent")["changes"] == [
        "front: starts: 2026-12-01T00:00:00",
        "front: zone: Europe/Berlin",
        "front: pin of p007: slot 2 → slot 4",
    ]
    assert answer(capsys, "rollback", index_name, "--dry-run")["stored"] is False
    back = answer(capsys, "rollback", index_name)
    assert (back["version"], back["by"], back["note"], back["policy"]) == (
        3,
        "bob",
        "back to version 1",
        stored["policy"],
    )
    assert [one["version"] for one in answer(capsys, "history", index_name)] == [3, 2, 1]
    assert answer(capsys, "show", index_name, "--version", "2")["note"] == "advent"
    for command in (("show",), ("history",), ("preview",)):
        assert exit_code_of(["policy", command[0], index_name]) == 0
    assert "back to version 1" in capsys.readouterr().out


def test_refusals(engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_shop(engine, index_name, n=5)
    good = write(tmp_path, 1)
    assert "who decides this" in answer(capsys, "put", index_name, good, code=2)
    answer(capsys, "put", index_name, good, "--by", "ann")
    assert "no version before the first" in answer(capsys, "rollback", index_name, "--by", "ann", code=3)
    assert "nothing would change" in answer(capsys, "put", index_name, good, "--by", "ann", code=3)
    assert "cannot read the file" in answer(capsys, "put", index_name, "nowhere.yaml", "--by", "ann", code=2)
    assert "nothing is published" in answer(capsys, "show", f"{index_name}-none", code=3)
    wrong = write(tmp_path, 1, boosts=[{"where": {"brand": ["x"]}, "factor": 2}])
    assert "unknown field 'brand'" in answer(capsys, "put", index_name, wrong, "--by", "ann", code=2)
    wrong = write(tmp_path, 1, boosts=[{"where": {"title": ["x"]}, "factor": 2}])
    assert "is a text and cannot be compared" in answer(capsys, "put", index_name, wrong, "--by", "ann", code=2)
    error = answer(capsys, "put", index_name, write(tmp_path, 1, ends="whenever"), "--by", "ann", code=2)
    assert "campaigns.0.ends" in error
    assert len(error.strip().splitlines()) == 1
