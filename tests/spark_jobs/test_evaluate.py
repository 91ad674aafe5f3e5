"""The step that judges, on a shop small enough to check every figure against pairs counted one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from segments.catalogue import Catalogue, Segment
from spark_jobs import evaluate
from spark_jobs.night import Night
from spark_jobs.recipe import VariantRecipe
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = datetime(2026, 2, 2, tzinfo=UTC)
ITEMS = [f"p{i:02d}" for i in range(40)]
UNSCORED = ITEMS[-2:]
VARIANTS = {
    "A": VariantRecipe(scorer="sales"),
    "M": VariantRecipe(scorer="counts", bandit="thompson"),
    "B": VariantRecipe(scorer="model", families=("demographic", "all"), bandit="thompson"),
}
SEGMENTS = {"A": ("all",), "M": ("all",), "B": ("all", "d_old", "d_young")}


class World:
    """Thirty visits of ten users to three lists; users 0 … 7 are young or old, the last two are strangers."""

    def __init__(self) -> None:
        r = np.random.default_rng(8)
        self.lists = {f"l{n}": sorted(r.choice(ITEMS, 25, replace=False)) for n in range(3)}
        self.visits = [(f"r{v:02d}", f"u{v % 10}", f"l{v % 3}") for v in range(30)]
        self.clicks = {
            request: sorted(r.choice(self.lists[list_id], int(r.integers(0, 4)), replace=False))
            for request, _, list_id in self.visits
        }
        self.score = {
            (variant, segment, item): round(r.random(), 2)
            for variant, segments in SEGMENTS.items() for segment in segments
            for item in ITEMS if item not in UNSCORED
        }  # fmt: skip
        self.rate = {item: (int(r.integers(50, 900)), int(r.integers(0, 40))) for item in ITEMS}

    def segment(self, user: str, variant: str) -> str:
        if variant != "B" or int(user[1:]) >= 8:
            return "all"
        return ("d_old", "d_young")[int(user[1:]) % 2]


WORLD = World()


@pytest.fixture(scope="module")
def report(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("judged")
    shelf = SimpleNamespace(training=SimpleNamespace(seed=3))
    recipe = SimpleNamespace(shelves={"product": shelf, "banner": shelf}, variants=VARIANTS)
    night = Night(spark, recipe, AS_OF, str(folder / "tables"), folder / "work")  # type: ignore[arg-type]
    _write(spark, night)
    catalogue = Catalogue(
        families=("demographic",),
        segments=(Segment(id="all", family="all", parent=None), Segment(id="d_old", family="demographic"),
                  Segment(id="d_young", family="demographic")),
        variants={name: variant.families for name, variant in VARIANTS.items()},
    )  # fmt: skip
    catalogue.write(night.folder("segments") / "catalogue.json")
    evaluate.run(night)
    text = (night.folder("evaluation") / "metrics.json").read_text()
    assert "NaN" not in text
    result: dict[str, Any] = json.loads(text)
    return result


def _write(spark: SparkSession, night: Night) -> None:
    scores = [("product", *key, value) for key, value in WORLD.score.items()]
    draws = [(*row[:4], "x", row[4], row[4], 1.0, 1.0, 1.0 - row[4]) for row in scores if row[1] == "M"]
    shown = [("product", r, AS_OF + timedelta(days=1), u, name) for r, u, name in WORLD.visits]
    column = {
        "scores": scores,
        "draws": draws,
        "item_features": [(item, "product", "x") for item in ITEMS if item not in UNSCORED],
        "items": [(item, "product", item, None, None, [("fruit", "bread")[int(item[1:]) % 2]], 1.0, None, True, None,
                   None, None) for item in ITEMS],
        "exposure_counts": [(item, "product", AS_OF - timedelta(days=7), AS_OF, float(n), float(c))
                            for item, (n, c) in WORLD.rate.items()]
        + [(ITEMS[0], "product", AS_OF, AS_OF + timedelta(days=7), 1.0, 1e6)],
        "user_segments": [(f"u{n}", "demographic", ("d_old", "d_young")[(n + late) % 2], 1.0,
                           AS_OF + timedelta(days=1 if late else -9)) for n in range(8) for late in (0, 1)],
        "visits": [(r, at, u, kind, name) for kind, r, at, u, name in shown],
        "list_items": [(name, item) for name, items in WORLD.lists.items() for item in items],
        "visit_clicks": [(r, item) for r, items in WORLD.clicks.items() for item in items] + [("r00", "nowhere")],
    }  # fmt: skip
    for table, rows in column.items():
        plain = [tuple(str(v) if isinstance(v, np.str_) else v for v in row) for row in rows]
        night.warehouse.write(spark.createDataFrame(plain, schema_of(table)), table, night.run)


def expected_gauc(number: Any, department: int | None = None) -> float:
    total = clicks = 0.0
    for request, user, name in WORLD.visits:
        rows = [i for i in WORLD.lists[name] if department is None or int(i[1:]) % 2 == department]
        label = np.array([i in WORLD.clicks[request] for i in rows])
        if 0 < label.sum() < label.size:
            total += label.sum() * roc_auc_score(label, [number(user, i) for i in rows])
            clicks += label.sum()
    return total / clicks


def test_every_user_is_judged_by_the_segment_it_had_at_the_clock(report: dict[str, Any]) -> None:
    """What was learned of a user after the clock is not used; strangers fall to `all`; unscored items stand last."""
    metrics = report["kinds"]["product"]["metrics"]
    for variant in ("A", "B"):
        value = expected_gauc(lambda u, i, v=variant: WORLD.score.get((v, WORLD.segment(u, v), i), -1.0))
        assert metrics[variant]["gauc"] == pytest.approx(value)


def test_the_bandit_on_counts_is_judged_by_its_draws(report: dict[str, Any]) -> None:
    value = expected_gauc(lambda _, i: 1 - WORLD.score[("M", "all", i)] if i not in UNSCORED else -1.0)
    assert report["kinds"]["product"]["metrics"]["M"]["gauc"] == pytest.approx(value)


def test_the_product_rate_knows_nothing_after_the_clock(report: dict[str, Any]) -> None:
    overall = sum(c for _, c in WORLD.rate.values()) / sum(n for n, _ in WORLD.rate.values())
    value = expected_gauc(lambda _, i: (WORLD.rate[i][1] + 200 * overall) / (WORLD.rate[i][0] + 200))
    assert report["kinds"]["product"]["metrics"]["product_rate"]["gauc"] == pytest.approx(value)


def test_departments_are_judged_among_their_own(report: dict[str, Any]) -> None:
    departments = report["kinds"]["product"]["metrics"]["A"]["departments"]
    for name, number in (("fruit", 0), ("bread", 1)):
        value = expected_gauc(lambda _, i: WORLD.score.get(("A", "all", i), -1.0), number)
        assert departments[name]["gauc"] == pytest.approx(value)
        assert departments[name]["gauc_difference"] == [0.0, 0.0, 0.0]


def test_intervals_hold_their_estimates_and_differences_are_paired(report: dict[str, Any]) -> None:
    metrics = report["kinds"]["product"]["metrics"]
    for name, values in metrics.items():
        for key, (low, high) in values["intervals"].items():
            assert low - 1e-9 <= values[key] <= high + 1e-9, (name, key)
        assert set(values["differences"]) == {"A", "product_rate", "B0"} & set(metrics) - {name}
    gap = metrics["B"]["differences"]["A"]["gauc"]
    assert gap[0] == pytest.approx(metrics["B"]["gauc"] - metrics["A"]["gauc"])
    assert gap[1] <= gap[0] <= gap[2]


def test_what_is_counted(report: dict[str, Any]) -> None:
    product = report["kinds"]["product"]
    assert product["visits"] == 30
    assert product["impressions"] == 750
    assert product["clicks"] == sum(map(len, WORLD.clicks.values()))
    assert product["clicks_outside_their_list"] == 1
    assert product["candidates"] == 38
    assert set(product["calibration"]) == {"B"}
    unscored = sum(item in UNSCORED for _, _, name in WORLD.visits for item in WORLD.lists[name])
    assert product["calibration"]["B"]["scored_share"] == pytest.approx(1 - unscored / 750)


def test_a_shelf_without_clicks_says_so(report: dict[str, Any]) -> None:
    assert report["kinds"]["banner"]["metrics"] == {}
    assert "nothing to judge" in report["kinds"]["banner"]["reason"]
