"""What an experiment's file may say, and what it takes from the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segments.errors import UsageError
from spark_jobs.experiment_settings import Experiment, Trial
from spark_jobs.models.settings import DeepFMSettings, LogisticSettings, TwoTowerSettings
from spark_jobs.recipe import Recipe
from tests.spark_jobs.test_train_and_score import RECIPE

SHIPPED = Recipe.of(RECIPE)


def trial(values: dict[str, Any] | None = None, **beside: str) -> Trial:
    return Trial.of(Experiment.of(values or {}), SHIPPED, **beside)  # type: ignore[arg-type]


def test_an_empty_file_is_the_recipe() -> None:
    found, shelf = trial(), SHIPPED.shelves["product"]
    assert (found.model, found.schema, found.training) == (shelf.model, shelf.fields, shelf.training)
    assert (found.name, found.shelf, found.seeds) == ("deepfm", "product", (shelf.training.seed,))


def test_settings_of_the_same_kind_are_the_recipes_and_of_another_its_own() -> None:
    assert trial({"model": {"dim": 9}}).model == DeepFMSettings(dim=9, hidden=(16, 8))
    assert trial({"model": {"kind": "two_tower"}}).model == TwoTowerSettings()
    assert trial(model="two_tower").model == TwoTowerSettings()
    assert trial({"model": {"kind": "two_tower", "out": 5}}, model="two_tower").model == TwoTowerSettings(out=5)
    assert trial(shelf="banner").model == LogisticSettings()


def test_training_differs_only_where_it_says_so() -> None:
    found = trial({"training": {"epochs": 9}, "seeds": [1, 2]})
    assert found.training == SHIPPED.shelves["product"].training.model_copy(update={"epochs": 9})
    assert found.seeds == (1, 2)


def test_fields_are_kept_dropped_and_put() -> None:
    changes = {
        "only": ["text_vector", "item", "hour"],
        "drop": ["text_vector"],
        "put": [{"name": "item", "buckets": 8}, {"name": "hour", "role": "context"}],
    }
    fields = trial({"fields": changes}).schema.fields
    assert [(field.name, field.buckets) for field in fields] == [("item", 8), ("hour", 1024)]
    assert "brand" not in [field.name for field in trial({"fields": {"drop": ["brand"]}}).schema.fields]


def test_what_is_stored_repeats_the_trial_whatever_the_recipe(tmp_path: Path) -> None:
    first = trial(
        {"model": {"kind": "two_tower"}, "fields": {"drop": ["brand"]}, "training": {"epochs": 3}, "seeds": [4, 5]},
        name="again",
    )
    (tmp_path / "e.yaml").write_text(first.experiment().to_yaml(), encoding="utf-8")
    other = {**RECIPE, "shelves": {"product": RECIPE["shelves"]["banner"]}}  # type: ignore[index]
    assert Trial.of(Experiment.read(tmp_path / "e.yaml"), Recipe.of(other)) == first


@pytest.mark.parametrize(
    ("values", "beside", "says"),
    [
        ({}, {"model": "deepfn"}, "unknown model 'deepfn'"),
        ({"model": {"kind": "deepfm"}}, {"model": "logistic"}, "two models"),
        ({"model": {"depth": 3}}, {}, "depth"),
        ({"training": {"epoch": 3}}, {}, "epoch"),
        ({"fields": {"drop": ["brnd"]}}, {}, "known: brand"),
        ({"fields": {"only": []}}, {}, "no field is left"),
        ({"fields": {"only": ["item", "item"]}}, {}, "same name"),
        ({"seeds": [1, 1]}, {}, "twice"),
        ({"sheds": [1]}, {}, "sheds"),
        ({}, {"name": "../x"}, "folder's name"),
        ({}, {"shelf": "shoe"}, "unknown shelf"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], beside: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        trial(values, **beside)


def test_a_variant_s_name_is_no_pair() -> None:
    variants = {**RECIPE["variants"], "A+B": RECIPE["variants"]["B"]}
    with pytest.raises(UsageError, match="stands between two that are interleaved"):
        Recipe.of({**RECIPE, "variants": variants})
