from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import exit_code_of


@pytest.mark.parametrize(
    "arguments",
    [
        ["hourly", "run", "--source", "world"],
        ["hourly", "run", "--source", "world", "--as-of", "noon"],
        ["hourly", "run", "--source", "nowhere.yaml", "--as-of", "2026-02-16T10:00:00+00:00"],
        ["models", "continual", "--source", "complete-journey"],
        ["models", "continual", "--days", "0"],
    ],
)
def test_wrong_usage_is_told_before_anything_starts(arguments: list[str]) -> None:
    assert exit_code_of(arguments) == 2


def test_continual_prints_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "{drift_days: 1, warmup_days: 1, users: 60, products: 30, brands: 3, requests_per_user_day: 1.0,"
        " retrain_epochs: 1, daily: {min_clicks: 1000}, hourly: {min_clicks: 1000}}"
    )
    common = ["models", "continual", "--config", str(config), "--days", "1", "--seeds", "1", "--work", str(tmp_path)]
    assert exit_code_of([*common, "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["updates"]["continual_hourly"] == {"accepted": 0, "refused": 24}
    figures = report["contestants"]
    for figure in ("ctr", "gauc", "logloss"):
        assert figures["continual_hourly"][figure] == figures["no_update"][figure], "refused updates change nothing"
    assert figures["no_update"]["ctr"]["low"] is None, "one seed has no interval"
    assert Path(report["picture"]).is_file()
    assert exit_code_of(common) == 0
    assert "truth" in capsys.readouterr().out
