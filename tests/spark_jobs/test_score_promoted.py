"""Step `score` with promotions: the promoted checkpoint scores its variant, the night's own the others."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from segments.errors import Refused
from spark_jobs import score, train
from spark_jobs.models.checkpoint import Checkpoint, save
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.registry import build
from spark_jobs.models.settings import LogisticSettings
from spark_jobs.night import Night
from spark_jobs.promoted import Promoted
from spark_jobs.recipe import Recipe
from tests.spark_jobs.test_train_and_score import ITEMS, RECIPE, planted
from tests.spark_jobs.test_train_and_score import scores as scores_of

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession


def constant(folder: Path, night: Night, *names: str, unit: str = "") -> Path:
    """A checkpoint of some of the shelf's fields that gives everybody the same."""
    fields = night.recipe.shelves["product"].fields
    schema = fields.model_copy(update={"fields": tuple(field for field in fields.fields if field.name in names)})
    encoder = Encoder(schema)
    network = build(LogisticSettings(), encoder, seed=1)
    network.start_at(0.0)
    save(Checkpoint(LogisticSettings(), encoder, network, notes={"unit": unit} if unit else {}), folder)
    return folder


def test_promote_score_demote_score(spark: SparkSession, tmp_path: Path) -> None:
    made = planted(spark, tmp_path)
    shelf = {"product": RECIPE["shelves"]["product"]}  # type: ignore[index]
    night = Night(spark, Recipe.of({**RECIPE, "shelves": shelf}), made.as_of, made.root, made.work)
    train.run(night)
    assert "promoted" not in score.run(night)
    own = {variant: scores_of(night, "product", variant, "all") for variant in ("B0", "B", "A")}
    assert len(set(own["B"].values())) > 5

    still = constant(tmp_path / "still", night, "item", "demographic")
    Promoted.read(night.work).promote(still, surface="product", variant="B")
    figures = score.run(night)
    assert list(figures["promoted"]) == ["product/B"]  # type: ignore[call-overload]
    assert set(scores_of(night, "product", "B", "d_a").values()) == {0.5}
    # The other variant keeps the night's own; a grid of fewer segments rounds its last bits otherwise.
    assert scores_of(night, "product", "B0", "all") == pytest.approx(own["B0"], rel=1e-5)
    assert scores_of(night, "product", "A", "all") == own["A"]

    # A brand of its own: its items alone, in every variant without a promotion of its own.
    odd = constant(tmp_path / "odd", night, "item", unit="brand=b1")
    Promoted.read(night.work).promote(odd, surface="product", unit="brand=b1")
    figures = score.run(night)
    assert set(figures["promoted"]) == {  # type: ignore[call-overload]
        "product/B", "product/B0/brand=b1", "product/B/brand=b1"
    }  # fmt: skip
    found = scores_of(night, "product", "B0", "all")
    assert found.keys() == own["B0"].keys()
    assert {found[f"i{item}"] for item in range(1, ITEMS, 2)} == {0.5}
    even = [f"i{item}" for item in range(0, ITEMS, 2)]
    assert [found[item] for item in even] == pytest.approx([own["B0"][item] for item in even], rel=1e-5)
    assert scores_of(night, "product", "A", "all") == own["A"]
    Promoted.read(night.work).demote(surface="product", unit="brand=b1")

    # Everything promoted: the night's own is not even looked for.
    Promoted.read(night.work).promote(still, surface="product")
    kept = night.folder("models") / "product"
    shutil.move(kept, tmp_path / "aside")
    score.run(night)
    assert set(scores_of(night, "product", "B0", "all").values()) == {0.5}
    shutil.move(tmp_path / "aside", kept)

    for variant in ("B", "*"):
        Promoted.read(night.work).demote(surface="product", variant=variant)
    score.run(night)
    assert {variant: scores_of(night, "product", variant, "all") for variant in own} == own


def test_a_promoted_checkpoint_of_unknown_fields_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    made = planted(spark, tmp_path)
    wide = {"fields": {"fields": [{"name": "item"}, {"name": "colour"}]}}
    other = {"product": {**RECIPE["shelves"]["product"], **wide}}  # type: ignore[index]
    strange = Night(spark, Recipe.of({**RECIPE, "shelves": other}), made.as_of, made.root, made.work)
    Promoted.read(made.work).promote(constant(tmp_path / "x", strange, "item", "colour"), surface="product")
    with pytest.raises(Refused, match="colour"):
        score.run(made)
    Promoted.read(made.work).demote(surface="product")
    kept = constant(tmp_path / "y", made, "item", unit="store=s1")
    Promoted.read(made.work).promote(kept, surface="product", unit="store=s1")
    with pytest.raises(Refused, match="units of product are promoted by store"):
        score.run(made)
