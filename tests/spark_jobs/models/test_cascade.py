from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from segments.errors import UsageError
from spark_jobs.models.calibration import Calibration
from spark_jobs.models.cascade import Cascade, bar_of, largest
from spark_jobs.models.checkpoint import Checkpoint
from spark_jobs.models.grid import Grid
from spark_jobs.models.settings import DeepFMSettings, FMSettings, ModelSettings
from spark_jobs.recipe import ShelfRecipe
from tests.contracts.planted import SCHEMA, SEGMENTS, items_of
from tests.contracts.ranker import trained

ITEMS = items_of(120)  # half of them never seen


@cache
def grid(settings: ModelSettings) -> Grid:
    fitted = trained(settings)
    return Grid(Checkpoint(settings, fitted.encoder, fitted.model, Calibration(1.1, -0.2)))


def stages(top: int, lists: str | None = None) -> Cascade:
    """A cascade whose bars are known from the items in two parts."""
    cheap, deep = grid(FMSettings(dim=4)), grid(DeepFMSettings(dim=4, hidden=(16, 8)))
    without = Cascade(cheap, deep, lists=lists)
    viewers = without.segments(SEGMENTS)
    found: dict[str, list[np.ndarray]] = {}
    for part in (ITEMS.slice(0, 50), ITEMS.slice(50)):
        for name, chances in without.tops(part, viewers, top):
            found.setdefault(name, []).append(chances)
    return Cascade(cheap, deep, lists=lists, bars={name: bar_of(tops, top) for name, tops in found.items()})


@pytest.mark.parametrize("lists", [None, "brand"])
def test_the_top_stands_in_the_deep_order_and_the_rest_below_it_in_the_cheap_one(lists: str | None) -> None:
    cascade, top = stages(7, lists), 7
    found = cascade.score(ITEMS, cascade.segments(SEGMENTS))
    cheap, deep = cascade.cheap.score(ITEMS, SEGMENTS), cascade.deep.score(ITEMS, SEGMENTS)
    names = np.array(ITEMS.column(lists).to_pylist() if lists else [""] * len(ITEMS))
    for name in np.unique(names):
        own = np.flatnonzero(names == name)
        for s in range(len(SEGMENTS)):
            chosen = own[cheap[own, s] >= np.sort(cheap[own, s])[-top]]
            rest = np.setdiff1d(own, chosen)
            assert len(chosen) >= top
            assert np.array_equal(np.argsort(found[chosen, s]), np.argsort(deep[chosen, s]))
            assert found[chosen, s].min() > found[rest, s].max()
            assert np.array_equal(found[rest, s], cheap[rest, s])
            # What the deep model puts above the bar keeps its probability.
            above = chosen[deep[chosen, s] > cheap[chosen, s].min() + 0.002]
            assert len(above) > 0
            assert np.abs(found[above, s] - deep[above, s]).max() <= 1e-5
    assert found.max() < 1.0


def test_a_top_of_everything_is_the_deep_model_alone() -> None:
    cascade = stages(len(ITEMS))
    deep = cascade.deep.score(ITEMS, SEGMENTS)
    assert np.abs(cascade.score(ITEMS, cascade.segments(SEGMENTS)) - deep).max() <= 1e-5


def test_no_items_and_one() -> None:
    cascade = stages(3)
    viewers = cascade.segments(SEGMENTS)
    for n in (0, 1):
        assert cascade.score(ITEMS.slice(0, n), viewers).shape == (n, len(SEGMENTS))


def test_bars_of_parts_are_those_of_the_whole() -> None:
    chances = np.random.default_rng(1).random((90, 4))
    parts = [largest(chances[k::3], 11) for k in range(3)]
    assert np.array_equal(bar_of(parts, 10), np.sort(chances, axis=0)[-10])
    assert np.array_equal(bar_of(parts[:1], 10), np.sort(chances[::3], axis=0)[-10])
    assert not bar_of(parts, 1000).any(), "everything reaches it"


@pytest.mark.parametrize(
    ("model", "scoring", "words"),
    [
        ("fm", {"cascade": {}}, "fm is one matrix product"),
        ("deepfm", {"cascade": {"lists": "taste"}}, "none of the item fields item, brand"),
        ("deepfm", {"cascade": {"model": {"kind": "dcnv2"}}}, "dcnv2"),
        ("xgboost", {"rows": "int8"}, "xgboost has none"),
        ("deepfm", {"rows": "int4"}, "int8"),
    ],
)
def test_what_makes_no_sense_is_refused(model: str, scoring: dict[str, object], words: str) -> None:
    shelf = {"index": "products", "fields": SCHEMA.model_dump(), "model": {"kind": model}, "scoring": scoring}
    with pytest.raises(UsageError, match=words):
        ShelfRecipe.of(shelf)
