"""Every registered twiddler keeps the contract; strict settings say what is wrong with a surface."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from es_ranking.tastes.contract import Taste
from es_ranking.twiddlers.contract import Facts, Hit, Twiddler
from es_ranking.twiddlers.downrank import Degree, DownrankSettings
from es_ranking.twiddlers.interval import Gap, IntervalSettings
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.pins import Pin, PinsSettings
from es_ranking.twiddlers.registry import TWIDDLERS
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
    assert set(TWIDDLERS) == {"personal", "downrank", "interval", "pins"}, "enrol the new one above"


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
        ({"kind": "crowding"}, "crowding"),
    ],
)
def test_a_wrong_surface_is_refused(twiddler: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Surface.of({"name": "x", "twiddlers": [twiddler]})


def test_one_twiddler_of_a_kind() -> None:
    gaps = {"kind": "interval", "gaps": [{"attribute": "b", "gap": 2}]}
    with pytest.raises(UsageError, match="listed twice"):
        Surface.of({"name": "x", "twiddlers": [gaps, gaps]})
