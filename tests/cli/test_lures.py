"""The doors of the lure filter, on a real engine: review what a night has kept, decide, and tell who did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from spark_jobs.lure_files import LureFile, lures_of
from tests.es_ranking.query.shop import open_shop

pytestmark = pytest.mark.usefixtures("audited")
RUN = "20261122T000000"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert exit_code_of(["lures", *arguments, "--output", "json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out) if code == 0 else captured.err


def a_night(work: Path, index: str, run: str = RUN) -> None:
    queue = [
        {"item": f"p00{n}", "title": f"thing {n}", "list": "SOUP", "probability": 0.9 - n / 10, "judged": 40,
         "reason": "only 1.0% of its clicks are followed by interest, 40.0% among its peers"}
        for n in range(3)
    ]  # fmt: skip
    rules = [{"rule": "followed", "accuses": 1, "clears": 20, "agreement": 0.9, "weight": 1.0}]
    LureFile(run, index, 30, 1, 0, rules, 5, queue).write(work, "product")


def test_from_the_queue_to_a_decision_and_back(
    engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_shop(engine, index_name, n=30)
    a_night(tmp_path, index_name, "20261121T000000")
    a_night(tmp_path, index_name)
    a_night(tmp_path, "another", "20261123T000000")
    work = ("--work", str(tmp_path))
    told = answer(capsys, "review", index_name, *work)
    assert (told["run"], told["lures"], told["judged"]) == (RUN, 1, 30)
    assert [row["item"] for row in told["queue"]] == ["p000", "p001", "p002"]
    assert told["rules"][0]["agreement"] == 0.9
    assert "nothing was ever decided" in answer(capsys, "show", index_name, code=3)

    ann = ("--by", "ann", "--at", "2026-11-22T08:00", "--note", "looked at the pictures")
    dry = answer(capsys, "deny", index_name, "p000", "p000", *ann, "--dry-run")
    assert answer(capsys, "history", index_name) == []
    stored = answer(capsys, "deny", index_name, "p000", *ann)
    assert stored == dry | {"stored": True}
    assert stored["changes"] == ["p000: deny"]
    assert (stored["by"], stored["note"]) == ("ann", "looked at the pictures")
    assert (stored["version"], stored["at"]) == (1, "2026-11-22T08:00:00+00:00")
    monkeypatch.setenv("ES_RANKING_BY", "bob")
    stored = answer(capsys, "allow", index_name, "p001", "--segment", "d_young")
    assert stored["changes"] == ["p001: allow for d_young"]
    assert [row["item"] for row in answer(capsys, "review", index_name, *work)["queue"]] == ["p002"]
    assert answer(capsys, "clear", index_name, "p000")["changes"] == ["p000: deny removed"]
    assert [row["item"] for row in answer(capsys, "review", index_name, *work, "--top", "1")["queue"]] == ["p000"]
    assert [one["by"] for one in answer(capsys, "history", index_name)] == ["bob", "bob", "ann"]
    assert answer(capsys, "show", index_name)["lures"]["decisions"] == [
        {"item": "p001", "verdict": "allow", "segments": ["d_young"]}
    ]
    assert answer(capsys, "show", index_name, "--version", "1")["version"] == 1
    for command in (["review", index_name, *work], ["show", index_name], ["history", index_name]):
        assert exit_code_of(["lures", *command]) == 0
    assert "thing 2" in capsys.readouterr().out


def test_refusals(engine: Engine, index_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_shop(engine, index_name, n=5)
    work = ("--work", str(tmp_path))
    assert "no night here has looked for lures" in answer(capsys, "review", index_name, *work, code=3)
    assert "who decides this" in answer(capsys, "deny", index_name, "p001", code=2)
    assert exit_code_of(["lures", "deny", index_name, "nobody", "--by", "ann"]) == 0
    assert "item nobody is not in" in capsys.readouterr().err
    assert "nothing would change" in answer(capsys, "deny", index_name, "nobody", "--by", "ann", code=3)
    assert "nothing was decided about p001" in answer(capsys, "clear", index_name, "p001", "--by", "ann", code=2)
    assert "settings are wrong" in answer(capsys, "deny", index_name, "x" * 600, "--by", "ann", code=2)
    assert "unknown segment 'd_yuong'" in answer(
        capsys, "deny", index_name, "p001", "--segment", "d_yuong", "--by", "ann", code=2
    )
    assert "no version 7" in answer(capsys, "show", index_name, "--version", "7", code=2)
    assert "nothing is published" in answer(capsys, "review", f"{index_name}-none", *work, code=3)
    assert exit_code_of(["lures", "deny", index_name]) == 2
    a_night(tmp_path, index_name)
    assert lures_of(tmp_path, RUN, "banner") is None
    (tmp_path / RUN / "lures" / "product.json").write_text("{", encoding="utf-8")
    assert "cannot be read" in answer(capsys, "review", index_name, *work, code=4)
