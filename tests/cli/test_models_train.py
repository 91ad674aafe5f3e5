"""What `models train` refuses, with one line and the documented exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.main import exit_code_of
from tests.cli.test_nightly_refusals import RECIPE, one_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def told(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str]:
    places = ("--warehouse", str(folder / "warehouse"), "--work", str(folder / "runs"))
    code = exit_code_of(["models", "train", "--source", str(RECIPE), *arguments, *places])
    said = capsys.readouterr()
    assert said.out == "", "stdout is data"
    return code, one_line(said.err)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model", "deepfn"), "known: deepfm"),
        (("--model", "deepfm", "--shelf", "shoe"), "unknown shelf"),
        (("--model", "deepfm", "--name", "a/b"), "folder's name"),
        (("--as-of", "2026-01-23"), "exactly one of"),
    ],
)
def test_wrong_usage_is_two(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, line = told(capsys, tmp_path, "--run-date", "2026-01-23", *arguments)
    assert code == 2
    assert says in line


@pytest.mark.parametrize("text", ["modell: {}", "- 1", "model: {kind: deepfm, layers: 3}", "seeds: many"])
def test_a_wrong_file_is_two(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(text, encoding="utf-8")
    code, line = told(capsys, tmp_path, "--run-date", "2026-01-23", "--config", str(file))
    assert code == 2, line


def test_a_run_without_tables_is_three_and_names_the_steps(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, line = told(capsys, tmp_path, "--run-date", "2026-01-23", "--model", "two_tower")
    assert code == 3
    assert "--step build_examples --step outcomes" in line
