from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from segments.errors import UsageError
from spark_jobs.cascade_bench import agreement, compare, measure
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import read_examples
from spark_jobs.models.scoring_settings import CascadeSettings
from spark_jobs.models.settings import FMSettings, ModelSettings
from tests.spark_jobs.small_arena import SHOP, small_arena
from tests.spark_jobs.test_train_and_score import ITEMS

if TYPE_CHECKING:
    from pathlib import Path


def test_agreement_of_known_orders() -> None:
    whole = np.linspace(0.9, 0.1, 200)[:, None]
    assert agreement(whole, whole) == {"overlap@20": 1.0, "order@20": 1.0, "overlap@100": 1.0, "order@100": 1.0}
    # The first ten trade places with the ten behind the first hundred.
    other = whole.copy()
    other[:10], other[100:110] = whole[100:110], whole[:10]
    found = agreement(other, whole)
    assert found["overlap@20"] == 0.5
    assert found["overlap@100"] == 0.9
    order = [*range(100, 110), *range(10, 100)]
    discount = 1.0 / np.log2(np.arange(2, 102))
    assert found["order@100"] == pytest.approx((whole[order, 0] @ discount) / (whole[:100, 0] @ discount))


def test_every_way_is_judged_by_visits_and_by_the_whole_model(tmp_path: Path) -> None:
    arena, shelf = small_arena(tmp_path), SHOP.shelves["product"]
    training = shelf.training.model_copy(update={"epochs": 2})
    examples = read_examples(arena.examples, Encoder(shelf.fields), item_kind="product")

    def checkpoint(model: ModelSettings):  # type: ignore[no-untyped-def]
        given = {"examples": examples, "valid_from": arena.valid_from, "training": training}
        return develop(model, shelf.fields, **given).checkpoint  # type: ignore[arg-type]

    rows = compare(arena, checkpoint(shelf.model), checkpoint(FMSettings(dim=4)), lists="brand", tops=(2, ITEMS))
    ways = {row["way"]: row for row in rows}
    assert list(ways) == ["whole", "int8", "cascade 2", f"cascade {ITEMS}", "cheap"]
    assert all(0.5 < row["gauc"] <= 1.0 and row["pairs_per_second"] > 0 for row in rows)
    assert ways[f"cascade {ITEMS}"]["overlap@20"] == ways["whole"]["overlap@20"] == 1.0
    assert ways[f"cascade {ITEMS}"]["gauc"] == pytest.approx(ways["whole"]["gauc"], abs=1e-6)
    # Two of each of two brands go on, of forty items.
    assert ways["cascade 2"]["deep_pairs"] == pytest.approx(0.1)
    assert ways["cheap"]["deep_pairs"] == 0.0
    assert ways["cascade 2"]["order@20"] < 1.0


@pytest.mark.parametrize(
    ("shelf", "lists", "words"),
    [("shoe", None, "shoe"), ("product", "colour", "colour"), ("product", "display", "items")],
)
def test_what_is_not_there_is_refused(shelf: str, lists: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        measure(SimpleNamespace(recipe=SHOP), shelf, CascadeSettings(lists=lists), tops=(1,))  # type: ignore[arg-type]
