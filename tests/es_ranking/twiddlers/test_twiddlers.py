"""Every registered twiddler keeps the contract; strict settings say what is wrong with a surface."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from es_ranking.tastes.contract import Taste
from es_ranking.twiddlers.boosts import Boost, BoostsSettings
from es_ranking.twiddlers.contract import Facts, Hit, Twiddler
from es_ranking.twiddlers.crowding import Crowd, CrowdingSettings
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.registry import TWIDDLERS
from es_ranking.twiddlers.scripted import ScriptedSettings
from es_ranking.twiddlers.settings import SURFACES, Surface, load_surface
from segments.errors import UsageError
from tests.contracts.twiddler import TwiddlerContract


class TestPersonal(TwiddlerContract):
    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        taste = Taste(30, np.array([20.0, 1.0 - seed], dtype=np.float32))
        return PersonalSettings(least=30, depth=2 + 3 * seed).build(Facts(taste=taste))


class TestDownrankByFactor(TwiddlerContract):
    degree = Degree(threshold=1, factor=0.5)

    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        rng = random.Random(seed)
        counts = {hit.item_id: {"view": rng.randint(0, 3)} for hit in hits if rng.random() < 0.4}
        return DownrankSettings(actions={"view": self.degree}).build(Facts(counts=counts))


class TestDownrankByPlaces(TestDownrankByFactor):
    degree = Degree(threshold=2, places=4)


class TestDownrankOutOfTheFirst(TestDownrankByFactor):
    degree = Degree(threshold=1, not_in_first=9)


class TestBuries(TwiddlerContract):
    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        some = tuple(hit.item_id for hit in random.Random(seed).sample(list(hits), len(hits) // 3))
        rules = [Boost(where={"brand": ("a", "b")}, factor=0.5), *([Boost(items=some, factor=0.1)] if some else [])]
        return BoostsSettings(boosts=tuple(rules)).build(Facts())


class TestBoostsWithoutStrands(TwiddlerContract):
    """Only the whole list is known then; with strands see test_boosts.py."""

    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        return BoostsSettings(boosts=(Boost(where={"brand": ("c",)}, factor=1.5 + seed),)).build(Facts())


class TestScripted(TwiddlerContract):
    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        counts = {hit.item_id: {"view": n % 4} for n, hit in enumerate(hits)}
        settings = ScriptedSettings(name="x", expression="score / (1 + n_view) + place % 3", depth=2 + 3 * seed)
        return settings.build(Facts(counts=counts))


class TestCrowding(TwiddlerContract):
    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        crowds = (Crowd(attribute="brand", most=1 + seed % 3, first=10), Crowd(attribute="list", most=4, first=7))
        return CrowdingSettings(crowds=crowds, look_ahead=1 + 4 * seed).build(Facts())


class TestInterval(TwiddlerContract):
    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        gaps = (Gap(attribute="brand", gap=3, priority=2), Gap(attribute="list", gap=2))
        return IntervalSettings(gaps=gaps, look_ahead=1 + seed).build(Facts())


class TestPins(TwiddlerContract):
    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        rng = random.Random(seed)
        chosen = rng.sample(list(hits), min(3, len(hits)))
        pins = tuple(Pin(item=hit.item_id, slot=slot) for hit, slot in zip(chosen, (1, 5, 70), strict=False))
        return PinsSettings(pins=pins).build(Facts(pinned={hit.item_id: hit for hit in chosen}))


def test_every_registered_twiddler_is_enrolled() -> None:
    assert set(TWIDDLERS) == {"boosts", "scripted", "personal", "downrank", "pins", "interval", "crowding"}, (
        "enrol the new one above"
    )


@pytest.mark.parametrize("path", sorted(SURFACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_surfaces(path: Any) -> None:
    assert load_surface(path.stem).name == path.stem


@pytest.mark.parametrize(
    ("twiddler", "message"),
    [
        ({"kind": "downrank", "actions": {"view": {"factor": 0.5, "places": 3}}}, "exactly one of"),
        ({"kind": "downrank", "actions": {"view": {"factor": 1.5}}}, "less than or equal to 1"),
        ({"kind": "downrank", "actions": {"view": {"treshold": 2, "factor": 0.5}}}, "treshold"),
        ({"kind": "interval", "gaps": []}, "at least 1"),
        ({"kind": "interval", "gaps": [{"attribute": "b", "gap": 2}] * 2}, "listed twice"),
        ({"kind": "pins", "pins": [{"item": "a", "slot": 1}, {"item": "b", "slot": 1}]}, "slot pinned twice"),
        ({"kind": "pins", "pins": [{"item": "a", "slot": 0}]}, "greater than or equal to 1"),
        ({"kind": "downrank", "actions": {"view": {"not_in_first": 3, "exclude": True}}}, "exactly one of"),
        ({"kind": "crowding", "crowds": [{"attribute": "b", "most": 0, "first": 5}]}, "greater than or equal to 1"),
        ({"kind": "boosts", "boosts": [{"items": ["a"], "where": {"b": ["c"]}, "factor": 2}]}, "one of them"),
        ({"kind": "boosts", "boosts": [{"items": ["a"], "factor": 0}]}, "greater than 0"),
        ({"kind": "scripted", "name": "x", "expression": "score.real"}, "Attribute is not part of the language"),
        ({"kind": "shuffle"}, "shuffle"),
    ],
)
def test_a_wrong_surface_is_refused(twiddler: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Surface.of({"name": "x", "twiddlers": [twiddler]})


def test_one_twiddler_of_a_kind() -> None:
    gaps = {"kind": "interval", "gaps": [{"attribute": "b", "gap": 2}]}
    with pytest.raises(UsageError, match="listed twice"):
        Surface.of({"name": "x", "twiddlers": [gaps, gaps]})
