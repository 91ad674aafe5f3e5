from __future__ import annotations

from pathlib import Path

import pytest

from segments.whole import whole, write_whole


def test_it_takes_the_old_ones_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    write_whole(path, "old")
    with whole(path) as fresh:
        fresh.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        assert fresh.suffix == ".tmp"
    assert [(one.name, one.read_text(encoding="utf-8")) for one in tmp_path.iterdir()] == [("kept.json", "new")]


def test_a_failure_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half of it \ud800")
    assert [(one.name, one.read_text(encoding="utf-8")) for one in tmp_path.iterdir()] == [("kept.json", "old")]
