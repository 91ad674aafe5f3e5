"""`es-ranking segments`: groups shown from a run's folder and from the index, without Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import Engine
from segments.catalogue import Catalogue, Segment, everyone
from segments.users import write_users
from tests.es_ranking.publish.shop import NIGHT, Publisher

RUN, OLD = "20171127T000000", "20171120T000000"


def catalogue(run: str, young: int) -> Catalogue:
    return Catalogue(
        run=run,
        families=("demographic", "brand"),
        segments=(
            everyone(10),
            Segment(id="d_young", family="demographic", values={"demographic": "d_young"}, users=young, label="18-24"),
            Segment(id="b_00", family="brand", values={"brand": "b_00"}, users=4, label="Acme"),
        ),
        variants={"A": ("all",), "B": ("demographic", "all"), "B2": ("brand", "demographic", "all")},
    )


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two runs, the older one written last."""
    for run, young in ((RUN, 6), (OLD, 5)):
        folder = tmp_path / "runs" / run / "segments"
        folder.mkdir(parents=True)
        catalogue(run, young).write(folder / "catalogue.json")
        write_users(folder / "users.jsonl", [("u1", {"demographic": "d_young", "brand": "b_00"}), ("u2", {})])
        (folder / "brand.svg").write_text(f"<svg><!-- {run} --></svg>")
    (tmp_path / "runs" / "20180101T000000" / "steps").mkdir(parents=True)
    return tmp_path / "runs"


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    code = exit_code_of(["segments", *map(str, arguments), "--output", "json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = exit_code_of(["segments", *map(str, arguments)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, "one failure, one line"
    return code, captured.err


def test_show_lists_the_newest_run_that_has_segments(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "show", "--work", work)
    assert rows[1] == {
        "segment": "d_young",
        "family": "demographic",
        "users": 6,
        "label": "18-24",
        "parent": "all",
        "variants": ["B", "B2"],
    }
    assert [row["segment"] for row in rows] == ["all", "d_young", "b_00"]
    assert rows[0]["variants"] == ["A", "B", "B2"]
    assert told(capsys, "show", "--work", work, "--run", OLD)[1]["users"] == 5


def test_show_cuts_by_family_and_variant(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["segment"] for row in told(capsys, "show", "--work", work, "--family", "brand")] == ["b_00"]
    assert [row["segment"] for row in told(capsys, "show", "--work", work, "--variant", "B")] == ["all", "d_young"]


def test_show_prints_a_table_for_people(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["segments", "show", "--work", str(work)]) == 0
    shown = capsys.readouterr().out
    assert f"run {RUN}" in shown
    assert "d_young" in shown


def test_of_says_who_serves_the_user(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = told(capsys, "of", "u1", "--work", work)
    assert known == {
        "user": "u1",
        "run": RUN,
        "segments": {"demographic": "d_young", "brand": "b_00"},
        "served_by": {"A": "all", "B": "d_young", "B2": "b_00"},
    }
    nobody = told(capsys, "of", "nobody", "--work", work)
    assert nobody["segments"] == {}
    assert nobody["served_by"] == {"A": "all", "B": "all", "B2": "all"}


def test_plot_prints_the_path_and_copies(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "plot", "--work", work)["picture"] == str(work / RUN / "segments" / "brand.svg")
    copy = tmp_path / "groups.svg"
    assert exit_code_of(["segments", "plot", "--work", str(work), "--to", str(copy)]) == 0
    assert capsys.readouterr().out == f"{copy}\n"
    assert RUN in copy.read_text()
    assert failed(capsys, "plot", "--work", work, "--to", tmp_path / "no" / "folder.svg")[0] == 2


def test_mistakes_are_wrong_usage_and_name_what_is_known(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, hint in (
        (("show", "--work", work, "--run", "20171126T000000"), RUN),
        (("show", "--work", work, "--family", "brnd"), "brand"),
        (("show", "--work", work, "--variant", "B22"), "B2"),
        (("plot", "--work", work, "--family", "brnad"), "brand"),
        (("show", "--work", work / "nothing"), "segments fit"),
        (("of", "u1", "--work", work / "nothing"), "segments fit"),
        (("fit", "--source", "world"), "--run-date"),
        (("choose", "--source", "world"), "--run-date"),
        (("choose", "--source", "world", "--run-date", "2026-02-16", "--topics", "six"), "topics"),
        (("choose", "--source", "world", "--run-date", "2026-02-16", "--groups", "1"), "groups"),
        (("choose", "--source", "world", "--run-date", "2026-02-16", "--groups", ","), "groups"),
    ):
        code, message = failed(capsys, *arguments)
        assert code == 2
        assert hint in message


def test_reading_loads_no_batch_library(work: Path) -> None:
    code = (
        "import sys\nfrom cli.main import exit_code_of\n"
        f"assert exit_code_of(['segments', 'show', '--work', {str(work)!r}]) == 0\n"
        f"assert exit_code_of(['segments', 'of', 'u1', '--work', {str(work)!r}]) == 0\n"
        "heavy = {'torch', 'pyspark', 'pandas', 'sklearn', 'elasticsearch'} & set(sys.modules)\nassert not heavy, heavy"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr


def test_the_serving_generation_is_asked(
    engine: Engine,
    engine_url: str,
    index_name: str,
    published: Publisher,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ES_URL", engine_url)
    assert failed(capsys, "show", "--index", index_name)[0] != 0
    published(NIGHT)
    assert [row["segment"] for row in told(capsys, "show", "--index", index_name)] == ["all", "d_young", "d_old"]
    assert told(capsys, "of", "u1", "--index", index_name)["served_by"] == {"A": "all", "B": "d_young"}
    assert told(capsys, "of", "u9", "--index", index_name)["served_by"] == {"A": "all", "B": "all"}
