"""Experiments on a planted shop: people of d_a click the even brand, of d_b the odd one, after the clock as before."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segments.errors import Refused, UsageError
from spark_jobs import experiment
from spark_jobs.experiment_settings import Experiment, Trial
from spark_jobs.models import reading
from spark_jobs.models.checkpoint import load
from spark_jobs.models.examples import read_examples
from spark_jobs.models.item_table import read_items
from spark_jobs.night import Night
from tests.spark_jobs.test_train_and_score import AS_OF, ITEMS, planted, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

USERS = 24


@pytest.fixture(scope="module")
def night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    made = planted(spark, tmp_path_factory.mktemp("experiments"))
    random, at = np.random.default_rng(2), AS_OF.replace(tzinfo=None)
    people = [(f"p{n}", n % 2) for n in range(USERS)]
    visits = [(f"after-{user}-{n}", user, taste) for user, taste in people for n in range(3)]
    clicks = [
        {"request_id": request, "item_id": f"i{item}"}
        for request, _, taste in visits
        for item in random.choice(np.arange(taste, ITEMS, 2), 4, replace=False)
    ]
    visit = {"request_at": at, "item_kind": "product", "list_id": "all"}
    for table, values in {
        "items": [{"item_id": f"i{k}", "kind": "product", "title": "x", "available": True} for k in range(ITEMS)],
        "user_segments": [
            {"user_id": user, "family": "demographic", "segment": f"d_{'ab'[taste]}", "weight": 1.0,
             "valid_from": datetime(2017, 11, 1)} for user, taste in people
        ],
        "visits": [{**visit, "request_id": request, "user_id": user} for request, user, _ in visits],
        "list_items": [{"list_id": "all", "item_id": f"i{k}"} for k in range(ITEMS)],
        "visit_clicks": clicks,
    }.items():  # fmt: skip
        made.warehouse.write(rows(spark, table, values), table, made.run)
    return made


def tried(night: Night, values: dict[str, Any], **beside: str) -> dict[str, Any]:
    trial = Trial.of(Experiment.of(values), night.recipe, **beside)  # type: ignore[arg-type]
    return experiment.run(night, trial)


@pytest.fixture(scope="module")
def towers(night: Night) -> dict[str, Any]:
    # Towers leave their flat start late in so small a shop.
    training = {"epochs": 16, "patience": 8}
    model = {"kind": "two_tower", "dim": 8, "hidden": [16], "out": 8}
    return tried(night, {"model": model, "training": training, "seeds": [7, 8]})


@pytest.fixture(scope="module")
def logistic(night: Night) -> dict[str, Any]:
    return tried(night, {}, model="logistic")


def test_towers_find_what_people_like_and_their_items_alone_do_not(towers: dict[str, Any]) -> None:
    metrics = towers["metrics"]
    assert set(metrics) == {"A", "B0", "B", "product_rate"}
    # Four of the twenty liked ones are clicked: to know the taste and nothing more is worth (20 + 16 / 2) / 36.
    assert metrics["B"]["gauc"] > 0.75
    assert metrics["B"]["differences"]["product_rate"]["gauc"][1] > 0.2
    assert metrics["B"]["differences"]["B0"]["gauc"][1] > 0.2
    assert set(towers["calibration"]) == {"B0", "B"}
    # Twelve of forty items are shown before the clock, all forty after it: about 0.27 of 12 against 4 of 40 clicked.
    assert 2.0 < towers["calibration"]["B"]["ratio"] < 3.5
    assert towers["calibration"]["B"]["scored_share"] == 1.0


def test_a_model_without_pairs_cannot_tell_segments_apart(logistic: dict[str, Any]) -> None:
    gap = logistic["metrics"]["B"]["differences"]["B0"]
    assert gap["gauc"] == [0.0, 0.0, 0.0]
    assert gap["ndcg@20"] == [0.0, 0.0, 0.0]


def test_the_figures_are_the_mean_of_the_seeds(towers: dict[str, Any]) -> None:
    seeds = towers["seeds"]
    assert [seed["seed"] for seed in seeds] == [7, 8]
    for variant in ("B0", "B"):
        for key in ("gauc", "auc", "recall@20"):
            each = [seed["metrics"][variant][key] for seed in seeds]
            assert towers["metrics"][variant][key] == pytest.approx(np.mean(each))
        ratios = [seed["calibration"][variant] for seed in seeds]
        assert ratios[0] != ratios[1]
        assert towers["calibration"][variant]["ratio"] == pytest.approx(np.mean(ratios))


def test_what_is_left_is_what_was_said(night: Night, towers: dict[str, Any]) -> None:
    folder = night.folder("experiments") / "two_tower"
    assert json.loads((folder / "metrics.json").read_text()) == towers
    for seed in ("seed-7", "seed-8"):
        for name in ("checkpoint.json", "configuration.yaml", "metrics.json", "curves.csv", "curves.png"):
            assert (folder / seed / name).is_file()
    stored = Trial.of(Experiment.read(folder / "experiment.yaml"), night.recipe)
    assert (stored.model.kind, stored.seeds) == ("two_tower", (7, 8))


def test_every_block_of_the_grid_is_as_the_checkpoint_says(
    night: Night, towers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load(night.folder("experiments") / "two_tower" / "seed-7")
    names = [field.name for field in checkpoint.schema.of_role("item")]
    items = read_items(night.warehouse.folder("item_features", night.run), names, item_kind="product")
    segments: list[dict[str, str]] = [{}, {"demographic": "d_a"}, {"demographic": "d_b"}]
    whole = experiment.grid_of(checkpoint, items, segments)
    monkeypatch.setattr(experiment, "BLOCK", 7)
    assert np.allclose(experiment.grid_of(checkpoint, items, segments), whole, rtol=1e-6, atol=0)
    liked = np.array([int(name[1:]) % 2 == 0 for name in items.column("item_id").to_pylist()])
    assert whole[1, liked].min() > whole[1, ~liked].max()
    assert whole[2, liked].max() < whole[2, ~liked].min()


def test_nothing_at_or_after_the_clock_is_learnt_from(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second example is moved to the clock; training stops before anything is judged."""
    given: list[np.ndarray[Any, Any]] = []

    def shifted(*arguments: Any, **named: Any) -> Any:
        found = read_examples(*arguments, **named)
        found.time[::2] = night.clock
        return found

    def watched(*_: Any, examples: Any, **__: Any) -> Any:
        given.append(examples.time)
        raise Refused("seen enough")

    monkeypatch.setattr(reading, "read_examples", shifted)
    monkeypatch.setattr(experiment, "develop", watched)
    with pytest.raises(Refused, match="seen enough"):
        tried(night, {}, model="logistic", name="cut")
    assert given[0].max() < night.clock
    assert len(given[0]) == 300 * 12 // 2
    assert not (night.folder("experiments") / "cut" / "metrics.json").exists(), "an experiment that broke off"


def test_again_with_another_seed_leaves_nothing_of_the_first(night: Night, logistic: dict[str, Any]) -> None:
    drop = {"fields": {"drop": ["text_vector", "display"]}, "training": {"epochs": 1}, "seeds": [4]}
    report = tried(night, drop, model="logistic")
    folder = night.folder("experiments") / "logistic"
    assert [seed["seed"] for seed in logistic["seeds"]] == [7]
    assert [path.name for path in folder.glob("seed-*")] == ["seed-4"]
    assert report["fields"] == ["item", "brand", "item_rate", "demographic"]
    yardsticks = [found["metrics"]["product_rate"]["intervals"] for found in (report, logistic)]
    assert yardsticks[0] == yardsticks[1], "the same resamples of the same people"


def test_a_field_without_a_column_is_refused(night: Night) -> None:
    with pytest.raises(UsageError, match="unknown field 'colour'"):
        tried(night, {"fields": {"put": [{"name": "colour"}]}})


def test_missing_tables_name_the_steps_that_write_them(spark: SparkSession, night: Night, tmp_path: Any) -> None:
    bare = Night(spark, night.recipe, AS_OF, str(tmp_path / "warehouse"), tmp_path / "work")
    bare.warehouse.write(night.warehouse.read("examples", night.run), "examples", bare.run)
    with pytest.raises(Refused) as refused:
        tried(bare, {})
    assert "the catalogue of segments" in str(refused.value)
    assert "--step ingest --step fit_segments --step build_examples --step outcomes" in str(refused.value)
    assert not (tmp_path / "work").exists(), "what was refused leaves nothing"
