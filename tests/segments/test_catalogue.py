"""The catalogue: names meet, chains fall back, what is written is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segments.catalogue import Catalogue, Segment, everyone
from segments.errors import ContractBroken, UsageError

VALUES: dict[str, Any] = {
    "run": "20171127T000000",
    "families": ["demographic", "brand", "both"],
    "segments": [
        everyone(10).model_dump(),
        {"id": "d_x", "family": "demographic"},
        {"id": "d_x_1", "family": "demographic", "parent": "d_x"},
        {"id": "b_00", "family": "brand"},
        {"id": "d_x__b_00", "family": "both", "parent": "d_x"},
    ],
    "variants": {"A": ["all"], "B": ["demographic", "all"], "B2": ["both", "demographic", "all"]},
}
CATALOGUE = Catalogue.of(VALUES)


def test_the_first_family_that_fits_wins() -> None:
    full = {"demographic": "d_x", "brand": "b_00", "both": "d_x__b_00"}
    assert {variant: CATALOGUE.resolve(full, variant) for variant in CATALOGUE.variants} == {
        "A": "all",
        "B": "d_x",
        "B2": "d_x__b_00",
    }
    assert CATALOGUE.resolve({"demographic": "d_x_1", "brand": "b_00"}, "B2") == "d_x_1"
    assert CATALOGUE.resolve({"brand": "b_00"}, "B2") == "all"
    assert CATALOGUE.resolve({}, "B2") == "all"


def test_a_variant_ranks_for_the_segments_of_its_chain() -> None:
    assert [segment.id for segment in CATALOGUE.segments_of("B2")] == ["all", "d_x", "d_x_1", "d_x__b_00"]
    assert [segment.id for segment in CATALOGUE.segments_of("A")] == ["all"]


def test_unknown_names_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match="B2"):
        CATALOGUE.chain("B22")
    with pytest.raises(UsageError, match="d_x"):
        CATALOGUE.segment("d_y")
    with pytest.raises(UsageError):
        CATALOGUE.resolve({"demographic": "d_gone"}, "B")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segments": VALUES["segments"][1:]}, "`all` is missing"),
        ({"segments": [*VALUES["segments"], {"id": "b_00", "family": "brand"}]}, "twice"),
        ({"segments": [*VALUES["segments"], {"id": "g_1", "family": "grade"}]}, "no known family"),
        ({"segments": [*VALUES["segments"], {"id": "b_01", "family": "brand", "parent": "b_9"}]}, "unknown parent"),
        ({"segments": [*VALUES["segments"], {"id": "B 1", "family": "brand"}]}, "not a segment id"),
        ({"variants": {"B": ["demographic"]}}, "must end in `all`"),
        ({"variants": {"B": []}}, "must end in `all`"),
        ({"variants": {"A+B": ["all"]}}, "stands between two that are interleaved"),
        ({"variants": {"B": ["grade", "all"]}}, "unknown families"),
    ],
)
def test_names_that_do_not_meet_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Catalogue.of({**VALUES, **change})


def test_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    CATALOGUE.write(file)
    assert Catalogue.load(file) == CATALOGUE
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue.json"]


def test_broken_files_are_told_apart_from_missing_ones(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    with pytest.raises(UsageError, match="segments fit"):
        Catalogue.load(file)
    for text in ("{", json.dumps({**VALUES, "variants": {"B": []}})):
        file.write_text(text)
        with pytest.raises(ContractBroken):
            Catalogue.load(file)


def test_everyone_is_the_root() -> None:
    assert everyone(3) == Segment(id="all", family="all", users=3, label="everyone", parent=None)
