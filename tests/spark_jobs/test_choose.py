"""One model for all, one each, or a small part each: stores with habits of their own are told from those without."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from segments.errors import Refused, UsageError
from spark_jobs import choose, probe
from spark_jobs.choose import Serve
from spark_jobs.experiment_settings import Experiment, Trial
from spark_jobs.models import ways
from spark_jobs.models.boosted_settings import BoostedSettings
from spark_jobs.models.checkpoint import load
from spark_jobs.models.correction import fit_correction
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, Tensors, joined
from spark_jobs.models.grid import Grid
from spark_jobs.models.multi_task_settings import MMoESettings, PLESettings
from spark_jobs.models.settings import LogisticSettings
from spark_jobs.models.watch import logits_of
from spark_jobs.night import microseconds
from spark_jobs.promoted import Promoted
from spark_jobs.reporting import collision_picture
from spark_jobs.units import read_units
from tests.spark_jobs.small_arena import SHOP
from tests.spark_jobs.test_train_and_score import AS_OF

CLOCK = microseconds(AS_OF)
VALID = microseconds(AS_OF - timedelta(days=28))
TRIAL = Trial.of(
    Experiment.of({
        "model": {"kind": "logistic"},
        "fields": {"only": ["item", "item_rate", "demographic"], "put": [{"name": "item", "buckets": 512}]},
        "training": {"epochs": 12, "learning_rate": 0.03, "drop_ids": 0.0},
    }),
    SHOP,
)  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three stores: `main` and `twin` like even items, `odd` (a tenth of the visits) likes odd ones."""
    folder = tmp_path_factory.mktemp("stores")
    random = np.random.default_rng(1)
    rows = []
    for visit in range(900):
        store = ("main", "twin", "main", "twin", "main", "main", "twin", "main", "main", "odd")[visit % 10]
        for item in random.choice(24, 8, replace=False).tolist():
            likes = (item % 2 == 0) != (store == "odd")
            rows.append(
                {
                    "request_id": f"r{visit}", "request_at": AS_OF - timedelta(days=90) + timedelta(hours=visit * 2.4),
                    "user_id": f"u{visit % 97}", "item_id": f"i{item}", "item_kind": "product",
                    "label": float(random.random() < (0.45 if likes else 0.05)), "sampling_rate": 1.0,
                    "item": f"i{item}", "item_rate": random.random(), "demographic": "d", "store": store,
                }
            )  # fmt: skip
    rows = [{**row, "label_cart": row["label"]} for row in rows]
    for name, values in (
        ("examples", rows),
        ("item_features", [{"item_id": "i0", "item_kind": "product", "store": "odd"}]),
    ):
        (folder / name).mkdir()
        pq.write_table(pa.Table.from_pylist(values), folder / name / "part-0.parquet")
    return {"examples": str(folder / "examples"), "item_features": str(folder / "item_features"), "clock": CLOCK,
            "valid_from": VALID}  # fmt: skip


@pytest.fixture(scope="module")
def choice(tables: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return choose.run(
        TRIAL, {"logistic": LogisticSettings()}, **tables, by="store", metrics=["gauc", "ndcg@3"], fewest=300,
        to=tmp_path_factory.mktemp("choice") / "choice.json",
    )  # fmt: skip


def test_a_store_with_habits_of_its_own_gets_its_own_part_and_the_others_do_not(choice: dict[str, Any]) -> None:
    units = choice["units"]
    assert {name: unit["chosen"] for name, unit in units.items() if name != "odd"} == {
        "main": "logistic/unified",
        "twin": "logistic/unified",
    }
    odd = units["odd"]["evidence"]
    assert units["odd"]["chosen"] != "logistic/unified"
    assert odd["logistic/unified"]["gauc"]["value"] < 0.4, "the others' taste is the wrong one here"
    assert odd["logistic/mixture"]["gauc"]["value"] > 0.7
    assert odd["logistic/individual"]["gauc"]["value"] > 0.7
    assert odd["logistic/unified"]["parameters"] < odd["logistic/mixture"]["parameters"]
    assert odd["logistic/mixture"]["parameters"] < odd["logistic/individual"]["parameters"]
    assert units["odd"]["chosen"] == "logistic/mixture", "as good as a model of its own, and smaller"


@pytest.fixture(scope="module", params=["individual", "mixture"])
def serving(
    request: pytest.FixtureRequest, tables: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Promoted, str, dict[str, Any]]:
    work = tmp_path_factory.mktemp("work")
    return Promoted.read(work), request.param, choose.run(
        TRIAL, {"logistic": LogisticSettings()}, **tables, by="store", ways=["unified", request.param],
        metrics=["gauc", "ndcg@3"], fewest=300,
        serve=Serve(Promoted.read(work), work / "made", own="logistic/unified", at="1"),
    )  # fmt: skip


def test_a_store_that_chose_its_own_model_is_scored_by_it_at_its_own_level(
    tables: dict[str, Any], serving: tuple[Promoted, str, dict[str, Any]]
) -> None:
    before, way, report = serving
    assert {name: bool(unit["checkpoint"]) for name, unit in report["units"].items()} == {
        "main": False, "twin": False, "odd": True,
    }  # fmt: skip
    registry = Promoted.read(before.work)
    assert [(one.variant, one.unit, one.note) for one in registry.serving] == [
        ("*", "store=odd", f"chosen: logistic/{way}")
    ]
    folder = registry.checkpoint("product", "B", "store=odd")
    assert folder is not None
    checkpoint = load(folder)
    unit = read_units(TRIAL, **tables, by="store", fewest=300)["odd"]
    whole = joined([unit.train, unit.valid])
    logits = logits_of(checkpoint.model, Tensors(whole, checkpoint.encoder, neutral_context=True))
    assert checkpoint.calibration(logits).mean() == pytest.approx(whole.label.mean(), rel=1e-3)
    likes = pa.table({"item": ["i1", "i2"]})
    odd, even = Grid(checkpoint).score(likes, [{}])[:, 0]
    assert odd > 2 * even


def test_a_later_choice_takes_back_what_is_no_longer_chosen(
    tables: dict[str, Any], serving: tuple[Promoted, str, dict[str, Any]]
) -> None:
    registry = Promoted.read(serving[0].work)
    choose.run(
        TRIAL, {"logistic": LogisticSettings()}, **tables, by="store", ways=["unified"], metrics=["gauc"], fewest=300,
        serve=Serve(registry, registry.work / "made", own="logistic/unified", at="2"),
    )  # fmt: skip
    assert Promoted.read(registry.work).serving == []
    assert [(line["did"], line["unit"]) for line in registry.history] == [
        ("promote", "store=odd"), ("demote", "store=odd")
    ]  # fmt: skip


def test_one_for_all_that_the_night_does_not_train_serves_each_unit_at_its_level(
    tables: dict[str, Any], tmp_path: Path
) -> None:
    report = choose.run(
        TRIAL, {"logistic": LogisticSettings()}, **tables, by="store", ways=["unified"], metrics=["gauc"], fewest=300,
        serve=Serve(Promoted.read(tmp_path), tmp_path / "made"),
    )  # fmt: skip
    made = {name: load(Path(unit["checkpoint"])) for name, unit in report["units"].items()}
    assert made["main"].notes["unit"] == "store=main"
    weights = [checkpoint.model.state_dict() for checkpoint in made.values()]
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in other)
    assert made["main"].calibration != made["odd"].calibration


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ({"ways": ["unified", "mixture"], "models": {"trees": BoostedSettings()}}, UsageError, "trees cannot serve"),
        ({"by": "demographic"}, Refused, "items have no demographic"),
    ],
)
def test_what_cannot_serve_is_refused_before_anything_is_trained(
    tables: dict[str, Any], tmp_path: Path, said: dict[str, Any], error: type[Exception], says: str
) -> None:
    asked = {"by": "store", "ways": ["unified"], "models": {"logistic": LogisticSettings()}, **said}
    with pytest.raises(error, match=says):
        choose.run(
            TRIAL, **{**tables, "examples": "nowhere"}, **asked,
            serve=Serve(Promoted.read(tmp_path), tmp_path / "made"),
        )  # fmt: skip


def test_small_units_are_put_together_and_all_is_one(tables: dict[str, Any]) -> None:
    assert set(read_units(TRIAL, **tables, by="store", fewest=1000)) == {"main", "twin", "(small)"}
    whole = read_units(TRIAL, **tables)["all"]
    assert len(whole.train) + len(whole.valid) == 900 * 8
    assert whole.train.time.max() < VALID <= whole.valid.time.min()
    assert whole.valid.time.max() < CLOCK
    cut = read_units(TRIAL, **{**tables, "clock": VALID + 86_400_000_000})["all"]
    assert cut.valid.time.max() < VALID + 86_400_000_000


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"by": "shop"}, "unknown column 'shop'"),
        ({"metrics": ["ndcg"]}, "known: ndcg@20"),
        ({"ways": ["alone"]}, "unknown way"),
    ],
)
def test_what_cannot_be_meant_is_refused(tables: dict[str, Any], said: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choose.run(TRIAL, {"logistic": LogisticSettings()}, **tables, **said)


def test_a_correction_finds_a_planted_shift_and_stays_put_without_one(tables: dict[str, Any]) -> None:
    """The shared logit lacks 1.5 for item i3 and nothing else."""
    unit = read_units(TRIAL, **tables)["all"].train
    encoder = Encoder(TRIAL.schema)
    encoder.fit(unit.rows, unit.numbers)
    random = np.random.default_rng(2)
    row = np.bincount(unit.rows[:, 0]).argmax()
    special = unit.rows[:, 0] == row
    shared = np.full(len(unit), -1.0)
    chance = 1.0 / (1.0 + np.exp(-(shared + 1.5 * special)))
    data = replace(unit, label=(random.random(len(unit)) < chance).astype(np.float64))
    moved = fit_correction(shared, data, encoder, strength=1.0)(data)
    assert moved[special].mean() == pytest.approx(1.5, abs=0.35)
    assert np.abs(moved[~special]).mean() < 0.25
    still = fit_correction(shared, data, encoder, strength=1e6)(data)
    assert np.abs(still).max() < 0.01


def test_importance_finds_the_field_that_matters(tables: dict[str, Any]) -> None:
    rows = {row["field"]: row for row in probe.importance(TRIAL, repeats=3, **tables)}
    assert rows["item"]["drop"] > 0.15
    assert rows["item"]["low"] > 0.05
    assert abs(rows["item_rate"]["drop"]) < 0.03
    assert rows["demographic"]["drop"] == 0.0, "a column of one value"


def test_fewer_buckets_collide_and_cost(tables: dict[str, Any], tmp_path: Path) -> None:
    rows = probe.collisions(TRIAL, shares=[1.0, 0.001], **tables)
    whole, small = rows
    assert small["buckets"] == 16, "two categorical fields of at least 8"
    assert (whole["values"], small["values"]) == (25, 25)
    assert whole["collided"] < 0.1
    assert small["collided"] > 0.7
    assert small["parameters"] < whole["parameters"]
    assert small["gauc"] < whole["gauc"]
    collision_picture.draw(rows, tmp_path / "collisions.png")
    assert (tmp_path / "collisions.png").stat().st_size > 5000


def test_models_of_several_tasks_learn_their_labels(tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Examples] = []

    def stop(*_: object, train: Examples, **__: object) -> None:
        given.append(train)
        raise InterruptedError

    several = replace(TRIAL, model=MMoESettings(tasks=("cart",)))
    models = {"logistic": LogisticSettings(), "mmoe": several.model}
    monkeypatch.setattr(ways, "fit", stop)
    monkeypatch.setattr(probe, "fit", stop)
    for ask in (
        lambda: choose.run(several, models, **tables),
        lambda: probe.importance(several, **tables),
        lambda: probe.collisions(several, shares=[1.0], **tables),
    ):
        with pytest.raises(InterruptedError):
            ask()
    assert len(given) == 3
    for train in given:
        assert train.tasks is not None
        assert np.array_equal(train.tasks[:, 0], train.label)
    with pytest.raises(UsageError, match="different tasks"):
        choose.run(TRIAL, {**models, "ple": PLESettings(tasks=("purchase",))}, **tables)


def test_no_clicks_to_judge_by_is_refused(tables: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="no clicks"):
        probe.importance(TRIAL, **{**tables, "valid_from": CLOCK})
