"""What the nightly command refuses, with one line and the documented exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from cli.main import exit_code_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RECIPE = Path(__file__).parents[1] / "integration" / "night.yaml"


def told(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str]:
    places = ("--warehouse", str(folder / "warehouse"), "--work", str(folder / "runs"))
    code = exit_code_of(["nightly", "run", *arguments, *places])
    return code, capsys.readouterr().err


def one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--source", str(RECIPE)), "exactly one of --run-date and --as-of"),
        (("--source", str(RECIPE), "--run-date", "tomorrow"), "not a date or time"),
        (("--source", str(RECIPE), "--run-date", "2026-01-23", "--step", "explode"), "unknown step"),
        (("--source", "no-such-recipe", "--run-date", "2026-01-23"), "cannot read the file"),
    ],
)
def test_wrong_usage_is_two(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, text = told(capsys, tmp_path, *arguments)
    assert code == 2
    assert says in one_line(text)


def test_an_unknown_setting_is_two(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.read_text(encoding="utf-8") + "\nvalidaton_days: 3\n", encoding="utf-8")
    code, text = told(capsys, tmp_path, "--source", str(file), "--run-date", "2026-01-23")
    assert code == 2
    assert "validaton_days" in one_line(text)


def test_a_run_date_without_data_is_three(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, text = told(capsys, tmp_path, "--source", str(RECIPE), "--run-date", "2025-06-01")
    assert code == 3
    assert "no events before" in one_line(text)


def test_a_step_before_its_input_is_three(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, text = told(capsys, tmp_path, "--source", str(RECIPE), "--run-date", "2026-01-23", "--step", "filter_lures")
    assert code == 3
    assert "has not been written" in one_line(text)


def test_a_missing_column_is_four(spark: SparkSession, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("when,who\n2026-01-01T00:00:00,u1\n", encoding="utf-8")
    (tmp_path / "items.csv").write_text("sku\ni1\n", encoding="utf-8")
    (tmp_path / "users.csv").write_text("id\nu1\n", encoding="utf-8")
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8").replace("${NIGHT_ALIAS:night}", "night"))
    columns = {"event_id": "nothing", "ts": "when", "user_id": "who", "item_id": "sku", "kind": "action"}
    recipe["source"] = {
        "kind": "files",
        "events": {"path": str(tmp_path / "events.csv"), "format": "csv", "columns": columns},
        "items": {"path": str(tmp_path / "items.csv"), "format": "csv", "columns": {"item_id": "sku"}},
        "users": {"path": str(tmp_path / "users.csv"), "format": "csv", "columns": {"user_id": "id"}},
    }
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    code, text = told(capsys, tmp_path, "--source", str(file), "--run-date", "2026-01-23")
    assert code == 4, text
    assert "nothing" in one_line(text)


def test_no_engine_is_five(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ES_URL", "http://127.0.0.1:1")
    assert exit_code_of(["generations", "products"]) == 5
    assert "127.0.0.1:1" in one_line(capsys.readouterr().err)
