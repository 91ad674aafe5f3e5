"""Promotions: what serves, what served before, and what a crash leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segments.errors import ContractBroken, Refused
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.registry import build
from spark_jobs.models.settings import LogisticSettings
from spark_jobs.promoted import FILE, Promoted
from tests.contracts.ranker import SCHEMA


def checkpoint(folder: Path, *, level: float, unit: str = "") -> Path:
    encoder = Encoder(SCHEMA)
    network = build(LogisticSettings(), encoder, seed=1)
    network.start_at(level)
    save(Checkpoint(LogisticSettings(), encoder, network, notes={"unit": unit} if unit else {}), folder)
    return folder


def test_promote_and_demote_and_back(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "a", level=-1.0), checkpoint(tmp_path / "b", level=-2.0)
    assert Promoted.read(tmp_path).checkpoint("product", "B") is None
    Promoted.read(tmp_path).promote(first, surface="product", at="1")
    Promoted.read(tmp_path).promote(second, surface="product", variant="B", at="2", note="clearer")
    registry = Promoted.read(tmp_path)
    star, own = registry.checkpoint("product", "B0"), registry.checkpoint("product", "B")
    assert star != own
    assert registry.checkpoint("banner", "B") is None
    again = Promoted.read(tmp_path).promote(first, surface="product", variant="B", at="3")
    assert tmp_path / again.checkpoint == star, "the same weights are kept once"
    before = Promoted.read(tmp_path).demote(surface="product", variant="B", at="4")
    assert before is not None
    assert Promoted.read(tmp_path).checkpoint("product", "B") == own
    assert Promoted.read(tmp_path).demote(surface="product", variant="B", at="5") is None
    assert Promoted.read(tmp_path).checkpoint("product", "B") == star, "the variant without its own takes *"
    assert Promoted.read(tmp_path).demote(surface="product", at="6") is None
    assert [(line["did"], line["at"]) for line in Promoted.read(tmp_path).history] == [
        ("promote", "1"), ("promote", "2"), ("promote", "3"), ("demote", "4"), ("demote", "5"), ("demote", "6")
    ]  # fmt: skip
    with pytest.raises(Refused, match="nothing is promoted"):
        Promoted.read(tmp_path).demote(surface="product")


def test_units_have_their_own_and_everything_else_what_the_surface_has(tmp_path: Path) -> None:
    star = checkpoint(tmp_path / "a", level=-1.0)
    meat, deli = (checkpoint(tmp_path / unit, level=-2.0, unit=f"department={unit}") for unit in ("meat", "deli"))
    Promoted.read(tmp_path).promote(meat, surface="product", unit="department=meat")
    assert Promoted.read(tmp_path).scored_by("product", "B") == {
        None: (None,), Promoted.read(tmp_path).checkpoint("product", "B", "department=meat"): ("meat",)
    }  # fmt: skip
    assert Promoted.read(tmp_path).scored_by("banner", "B") == {None: (None,)}
    Promoted.read(tmp_path).promote(star, surface="product", variant="B")
    Promoted.read(tmp_path).promote(deli, surface="product", variant="B", unit="department=deli")
    registry = Promoted.read(tmp_path)
    assert [units for folder, units in registry.scored_by("product", "B").items() if folder] == [
        (None,), ("deli",), ("meat",)
    ]  # fmt: skip
    # The other variant has no deli of its own: those items stay with all others.
    assert registry.scored_by("product", "B0")[None] == (None, "deli")
    assert registry.demote(surface="product", variant="B", unit="department=deli") is None
    assert registry.scored_by("product", "B")[registry.checkpoint("product", "B")] == (None,)
    with pytest.raises(Refused, match="department=deli"):
        registry.demote(surface="product", variant="B", unit="department=deli")


def test_a_checkpoint_of_another_level_is_refused(tmp_path: Path) -> None:
    meat, bare = checkpoint(tmp_path / "a", level=-1.0, unit="department=meat"), checkpoint(tmp_path / "b", level=0.0)
    registry = Promoted.read(tmp_path)
    for folder, unit in ((meat, ""), (meat, "department=deli"), (bare, "department=meat")):
        with pytest.raises(Refused, match="is calibrated on"):
            registry.promote(folder, surface="product", unit=unit)
    registry.promote(meat, surface="product", unit="department=meat")
    # An item has a department and a store: it would belong to two units.
    with pytest.raises(Refused, match="told by department"):
        registry.promote(checkpoint(tmp_path / "c", level=0.0, unit="store=s1"), surface="product", unit="store=s1")


def test_a_file_of_before_there_were_units_is_read(tmp_path: Path) -> None:
    Promoted.read(tmp_path).promote(checkpoint(tmp_path / "a", level=-1.0), surface="product", variant="B")
    values = json.loads((tmp_path / FILE).read_text())
    for line in (*values["serving"], *values["history"], *(line["serving"] for line in values["history"])):
        del line["unit"]
    (tmp_path / FILE).write_text(json.dumps(values))
    assert Promoted.read(tmp_path).checkpoint("product", "B") is not None
    assert Promoted.read(tmp_path).demote(surface="product", variant="B") is None


def test_what_was_promoted_does_not_change_with_its_origin(tmp_path: Path) -> None:
    origin = checkpoint(tmp_path / "a", level=-1.0)
    Promoted.read(tmp_path).promote(origin, surface="product")
    checkpoint(tmp_path / "a", level=-3.0)
    serving = Promoted.read(tmp_path).checkpoint("product", "B")
    assert serving is not None
    bias = load(serving).model.bias
    assert bias is not None
    assert bias.detach().tolist() in (-1.0, [-1.0])


def test_nothing_half_made_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Promoted.read(tmp_path).promote(checkpoint(tmp_path / "a", level=-1.0), surface="product")
    text = (tmp_path / FILE).read_text()

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("spark_jobs.promoted.write_whole", crash)
    with pytest.raises(OSError, match="disk full"):
        Promoted.read(tmp_path).promote(checkpoint(tmp_path / "b", level=-2.0), surface="product")
    assert (tmp_path / FILE).read_text() == text
    assert Promoted.read(tmp_path).checkpoint("product", "B") is not None


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no checkpoint"):
        Promoted.read(tmp_path).promote(tmp_path, surface="product")
    damaged = checkpoint(tmp_path / "a", level=0.0)
    next(damaged.glob("weights-*")).write_bytes(b"x")
    with pytest.raises(ContractBroken, match="damaged"):
        Promoted.read(tmp_path).promote(damaged, surface="product")
    assert not (tmp_path / FILE).exists()
    (tmp_path / FILE).write_text(json.dumps({"serving": [{}]}))
    with pytest.raises(ContractBroken, match="cannot be read"):
        Promoted.read(tmp_path)
