"""What nights come to, on nights whose sums are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spark_jobs.loop.newcomers import Newcomers
from spark_jobs.loop.run import Kept, day_file
from spark_jobs.loop.settings import WHOLE, LoopSettings
from spark_jobs.loop.summary import Run, summary
from spark_jobs.reporting.loop_picture import draw

SETTINGS = LoopSettings(warmup_days=1, nights=4)
CLICKS = {"A": 100.0, "M": 120.0, "B0": 140.0, "B": 150.0, "B1": 160.0, "B2": 180.0, "oracle": 200.0}


def _run(folder: Path, *, seeds: int = 2, clicks: dict[str, float] | None = None) -> Run:
    folders = []
    for seed in range(seeds):
        own = folder / f"seed-{seed}"
        own.mkdir(parents=True)
        folders.append(own)
        for night in range(SETTINGS.nights):
            figures = {
                name: {
                    "users": 100.0, "requests": 50.0, "shown": 600.0, "clicks": value + seed, "honest_clicks": value,
                    "purchases": value / 10, "expected": value - 10 * (4 - night), "best": 250.0, "lures": 6.0,
                    "repeats": 3.0, "close": 0.0, "coverage": 0.5, "entropy": 0.8,
                }
                for name, value in (clicks or CLICKS).items()
            }  # fmt: skip
            new = {name: np.full((3, 2), 0.5) for name in CLICKS if name != "oracle"}
            Kept(np.zeros((1, 1), dtype=np.int64), figures, new).write(day_file(own, 1 + night))
    return Run(folders, SETTINGS)


def test_rates_shares_and_lifts(tmp_path: Path) -> None:
    runs = {WHOLE: _run(tmp_path / "a"), "no_twiddlers": _run(tmp_path / "b", seeds=1, clicks=CLICKS | {"B2": 190.0})}
    report = summary(runs)
    assert report["seeds"] == 2
    assert report["variants"]["B2"]["clicks_per_user"]["value"] == pytest.approx(1.805)
    assert report["variants"]["B2"]["lures"]["value"] == pytest.approx(0.01)
    assert report["variants"]["A"]["coverage"]["value"] == pytest.approx(0.5)
    assert report["reached"]["B2"]["value"] == pytest.approx(0.8)
    assert report["lifts"]["B2 over A"]["clicks_per_user"]["value"] == pytest.approx((0.8 + 80 / 101) / 2)
    assert report["lifts"]["B2 over A"]["published"]["clicks_per_user"] == 0.43
    assert report["segments"]["B2 over B0"]["value"] > 0
    # Of four nights the first two are compared with the last two.
    assert report["regret"]["B2"]["first"]["value"] == pytest.approx((250 - 180 + 35) / 50)
    assert report["regret"]["B2"]["fall"]["value"] == pytest.approx(20 / 50)
    lost = report["ablations"]["no_twiddlers"]
    assert lost["seeds"] == 1
    assert lost["clicks_per_user"]["lost"]["value"] == pytest.approx(-0.1)
    assert len(report["nights"]["B2"]["ctr"]) == 4
    assert len(report["nights"]["B2"]["ctr"][0]) == 2
    pictures = draw(report, tmp_path)
    assert [path.name for path in pictures] == ["nights.png", "new-items.png", "parts.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_new_items_are_followed_from_the_night_they_arrive() -> None:
    # Nine nights, three items: never new; there from the first night and near on its third; from the third on, never.
    values = np.full((9, 3, 3), np.nan)
    values[:, 0, 1] = [0.5, 0.3, 0.1, 0.4, 0.05, 0.0, 0.0, 0.0, 0.0]
    values[:, 1, 1], values[:, 2, 1] = 1.0, 0.0
    values[2:, 0, 2] = 0.7
    values[2:, 1, 2], values[2:, 2, 2] = 1.0, 1.0
    told = Newcomers([values])
    assert told.arrived() == [0.5]
    report = told.report()
    assert report["items"] == 2
    assert report["median_nights"] is None
    assert told.distance()[:3] == pytest.approx([0.6, 0.5, 0.4])
    assert told.on_page()[0] == pytest.approx(0.5)
    assert told.on_page()[8] == pytest.approx(0.0)
