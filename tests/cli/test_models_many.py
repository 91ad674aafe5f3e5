"""The doors to many experiments: what they print, and what they refuse with one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import exit_code_of
from tests.cli.test_nightly_refusals import RECIPE, one_line
from tests.spark_jobs.test_comparison import a_run
from tests.spark_jobs.test_promoted import checkpoint

RUN = ("--source", str(RECIPE), "--run-date", "2026-01-23")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = exit_code_of(["models", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_compare_prints_a_table_and_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runs = [a_run(tmp_path / "a", [0.70, 0.71], dim=4), a_run(tmp_path / "b", [0.80, 0.81], dim=8)]
    code, out, _ = told(capsys, "compare", *map(str, runs), "--output", "json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["rows"]] == ["a", "b"]
    code, out, _ = told(capsys, "compare", *map(str, runs))
    assert code == 0
    assert "*" in out


def test_promote_list_demote(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    work, folder = ("--work", str(tmp_path)), checkpoint(tmp_path / "seed-7", level=-1.0)
    code, out, err = told(capsys, "promote", str(folder), "--variant", "B", *work, "--output", "json")
    assert code == 0, err
    made = json.loads(out)
    assert (made["surface"], made["variant"], made["model"]) == ("product", "B", "logistic")
    _, out, _ = told(capsys, "list", *work, "--output", "json")
    assert json.loads(out) == [made]
    code, out, _ = told(capsys, "demote", "--variant", "B", *work, "--output", "json")
    assert (code, json.loads(out)["serving"]) == (0, "the night's own")
    _, out, _ = told(capsys, "list", "--history", *work, "--output", "json")
    assert [line["did"] for line in json.loads(out)] == ["promote", "demote"]
    code, _, err = told(capsys, "demote", "--variant", "B", *work)
    assert code == 3
    assert "nothing is promoted" in one_line(err)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grid: {model.depth: [3]}", "depth"),
        ("grid: {colour: [3]}", "cannot set 'colour'"),
        ("name: a/b", "name"),
        ("nets: 3", "nets"),
    ],
)
def test_a_wrong_sweep_is_two_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    code, out, err = told(capsys, "sweep", "--config", str(file), *RUN, "--work", str(tmp_path / "runs"))
    assert (code, out) == (2, "")
    assert says in one_line(err)
    assert not (tmp_path / "runs").exists()


def test_an_ablation_of_an_unknown_field_is_two(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "ablation.yaml"
    file.write_text("groups: {prices: [prise]}", encoding="utf-8")
    code, _, err = told(capsys, "ablate", "--config", str(file), *RUN, "--work", str(tmp_path / "runs"))
    assert code == 2
    assert "prise" in one_line(err)
