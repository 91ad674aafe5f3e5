"""From scores to ranks on a small planted shop: quota, lures, keys, and the same bits however partitioned."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from pyspark.errors import PythonException
from pyspark.sql import functions as F

from es_ranking.policy.lures import LureDecisions
from spark_jobs import explore, filter_lures
from spark_jobs.bandits.registry import BANDITS
from spark_jobs.lure_files import lures_of
from tests.spark_jobs.explored_shop import AS_OF, COLD, ITEMS, LURES, SEGMENTS, a_night, night_at

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_jobs.night import Night


@pytest.fixture(scope="module")
def nights(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Night, pd.DataFrame]]:
    """The same night's ranks from tables of 1, 2 and 7 partitions, with as many in every shuffle."""
    result = {}
    night = a_night(spark, tmp_path_factory.mktemp("night"))
    before = spark.conf.get("spark.sql.shuffle.partitions")
    for partitions in (1, 2, 7):
        spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
        for table in ("scores", "events"):
            rows = night.warehouse.read(table, night.run).repartition(partitions, "item_id")
            night.warehouse.write(rows, table, night.run)
        explore.run(night)
        filter_lures.run(night)
        result[partitions] = night, _ranks(night)
    spark.conf.set("spark.sql.shuffle.partitions", str(before))
    return result


def _ranks(night: Night) -> pd.DataFrame:
    ranks = night.warehouse.read("ranks", night.run).toPandas()
    return ranks.sort_values(["variant", "segment", "item_id"], ignore_index=True)


def _same_bits(one: pd.DataFrame, other: pd.DataFrame) -> None:
    for name in ("draw", "propensity", "lure_probability", "final"):
        assert one[name].to_numpy().tobytes() == other[name].to_numpy().tobytes(), name
    assert (one["rank"] == other["rank"]).all()
    assert one["moves"].map(list).equals(other["moves"].map(list))


def test_the_same_bits_with_one_two_and_seven_partitions(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    assert set(BANDITS) == {each.bandit for each in nights[1][0].recipe.variants.values()}
    for partitions in (2, 7):
        _same_bits(nights[1][1], nights[partitions][1])


def test_the_same_bits_after_a_killed_task(nights: dict[int, tuple[Night, pd.DataFrame]], tmp_path: Path) -> None:
    """A worker dies by SIGKILL in each step, with what it had done; Spark tries the task again."""
    night, ranks = nights[1]
    shutil.copytree(night.root, tmp_path / "tables")
    # A process of its own, not a child of this one's Java gateway.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_G", "SPARK_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)])
    command = [sys.executable, "-m", "tests.contracts.killed_task", str(tmp_path)]
    subprocess.run(command, env=environment, capture_output=True, timeout=300, check=True)
    assert len(list(tmp_path.glob("killed in stage *"))) == 2
    _same_bits(ranks, _ranks(night_at(night.spark, tmp_path)))


def test_final_sorts_every_list_and_rank_counts_it(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    ranks = nights[1][1]
    assert (ranks["final"] > 0).all()
    for _, rows in ranks.groupby(["variant", "segment", "list"]):
        ordered = rows.sort_values(["final", "item_id"], ascending=[False, True])
        assert ordered["rank"].tolist() == list(range(1, len(rows) + 1))


def test_planted_lures_leave_the_top_and_honest_items_stay(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    night, ranks = nights[1]
    lures = night.warehouse.read("lures", night.run).toPandas().set_index("item_id")
    kept = lures_of(night.work, night.run, "product")
    assert kept is not None
    assert (kept.judged, kept.lures, kept.share) == (240, 6, 6 / 240)
    assert {row["item"] for row in kept.queue[:6]} == LURES
    assert kept.queue[0]["title"].startswith("thing p")
    flagged = set(lures.index[lures["probability"] >= 0.9])
    assert flagged == LURES
    assert lures.loc[sorted(LURES), "reason"].str.contains("followed by interest").all()
    explored = ranks[ranks["variant"] != "A"]
    is_lure = explored["item_id"].isin(LURES)
    assert (explored["rank"][is_lure] > 20).all()
    # Epsilon-greedy and softmax may have moved one down before the filter.
    moved = explored.loc[is_lure & ~explored["variant"].isin(["E", "S"]), "moves"].map(lambda moves: moves[0])
    assert moved.str.startswith("lure: ").all()
    for _, rows in explored.groupby(["variant", "segment"]):
        best = rows.sort_values("final", ascending=False)["item_id"].head(20)
        assert not set(best) & LURES


def test_operators_and_segments_have_their_say(
    nights: dict[int, tuple[Night, pd.DataFrame]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lure is allowed, one honest item denied to the young; what followed is counted by segment too."""
    night, before = nights[1]
    young = before.query("variant == 'B' and segment == 'd_young' and rank <= 5").set_index("item_id")
    honest = sorted(set(young.index) - LURES - COLD)[0]
    decisions = LureDecisions.of({"decisions": [
        {"item": ITEMS[0], "verdict": "allow"},
        {"item": honest, "verdict": "deny", "segments": ["d_young"]},
    ]})  # fmt: skip
    monkeypatch.setattr(filter_lures, "_decided", lambda _: (3, decisions))
    later = replace(night, as_of=AS_OF + timedelta(seconds=2), recipe=copy.deepcopy(night.recipe))
    shelf = later.recipe.shelves["product"]
    rule = shelf.lures.model_copy(update={"families": ("demographic",), "segment_trials": 15, "queue": 1000})
    shelf.lures = rule  # type: ignore[misc]
    for table in ("draws", "item_features", "exposure_counts", "user_segments", "events", "items"):
        later.warehouse.write(night.warehouse.read(table, night.run), table, later.run)
    filter_lures.run(later)
    ranks = later.warehouse.read("ranks", later.run).where("variant = 'B'").toPandas()
    ranks = ranks.set_index(["segment", "item_id"])
    assert (ranks.loc[[(s, ITEMS[0]) for s in SEGMENTS], "lure_probability"] == 0).all()
    assert (ranks.loc[[(s, ITEMS[0]) for s in SEGMENTS], "rank"] <= 20).all()
    assert ranks.loc[("d_young", honest), "rank"] > 20
    (move,) = ranks.loc[("d_young", honest), "moves"]
    assert move.startswith("lure: ")
    assert move.endswith("an operator has decided so")
    assert ranks.loc[("d_old", honest), "lure_probability"] < 0.5
    lures = later.warehouse.read("lures", later.run).toPandas()
    assert set(lures["segment"]) == set(SEGMENTS)
    assert len(lures.query("segment == 'all'")) == 240
    # A cold item has three clicks: no segment judges it by itself.
    assert not set(lures.query("segment != 'all'")["item_id"]) & COLD
    own = lures.query("segment == 'd_old'").set_index("item_id")["probability"]
    assert (own[sorted(LURES)] >= 0.9).all()
    assert (ranks.loc["d_old"].loc[sorted(LURES - {ITEMS[0]}), "lure_probability"] == own[sorted(LURES)[1:]]).all()
    kept = lures_of(later.work, later.run, "product")
    assert kept is not None
    assert kept.decisions == 3
    assert not {row["item"] for row in kept.queue} & {ITEMS[0]}
    assert honest in {row["item"] for row in kept.queue}, "decided for a part of the shop only"


def test_every_list_keeps_its_quota_where_the_variant_explores(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    ranks = nights[1][1]
    for (variant, _, _), rows in ranks.groupby(["variant", "segment", "list"]):
        cold = rows["item_id"].isin(COLD) & (rows["rank"] <= 50)
        assert cold.sum() >= (5 if variant != "A" else 0)
        # Where counts alone draw, or bounds are wide, what nobody has seen gets there by itself.
        if variant not in {"M", "U", "T"}:
            promoted = rows["moves"].map(lambda moves: any(m.startswith("quota: ") for m in moves))
            assert promoted.any() == (variant != "A")


def test_the_old_logic_is_left_as_it_was(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    rows = nights[1][1].query("variant == 'A'")
    assert (rows["final"] == rows["score"]).all()
    assert (rows["propensity"] == 1).all()


def test_propensities_are_probabilities_of_something_that_happened(
    nights: dict[int, tuple[Night, pd.DataFrame]],
) -> None:
    for variant, rows in nights[1][1].groupby("variant"):
        assert ((rows["propensity"] > 0) & (rows["propensity"] <= 1)).all()
        # An upper bound leaves nothing to chance.
        assert (rows["propensity"].nunique() > 5) == (variant not in {"A", "K", "C", "T", "U"})


def test_items_of_one_brand_share_what_is_known_of_them(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    """The linear belief rests on more than the item's own impressions, and its means are much like the others."""
    night, _ = nights[1]
    draws = night.warehouse.read("draws", night.run).toPandas().pivot(index="item_id", columns=["variant", "segment"])
    own, linear = draws["evidence"]["E"]["all"], draws["evidence"]["L"]["all"]
    assert (linear > own).all()
    assert (linear[sorted(COLD)] > 1.3 * own[sorted(COLD)]).all()
    mean, shared = draws["mean"]["E"]["all"], draws["mean"]["L"]["all"]
    assert np.corrcoef(mean, shared)[0, 1] > 0.95


def test_evidence_of_a_segment_is_what_its_users_did(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    """Three clicks of users 0, 1 and 2: the one odd user is young; each click has 1 + 48 impressions."""
    night, _ = nights[1]
    draws = night.warehouse.read("draws", night.run).where("variant = 'B'").toPandas()
    one = draws[draws["item_id"] == ITEMS[230]].set_index("segment")
    assert one.loc["d_young", "evidence"] == pytest.approx(500 + 49)
    assert one.loc["d_old", "evidence"] == pytest.approx(500 + 98)
    assert one.loc["all", "evidence"] == pytest.approx(500 + 100)
    mean = (500 * one.loc["d_old", "score"] + 2) / 598
    assert one.loc["d_old", "mean"] == pytest.approx(mean)


def test_old_fresh_and_low_impressions_count_less(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    """Five days and 231 minutes old, in place 4: half by age, half by place, less by clicks five days late."""
    night, _ = nights[1]
    changed = replace(night, as_of=AS_OF + timedelta(seconds=1), recipe=copy.deepcopy(night.recipe))
    shelf = changed.recipe.shelves["product"]
    told = {"evidence_days": 8, "half_life_days": 5.0, "click_delay_hours": 120.0, "position_decay": 0.5}
    shelf.explore = shelf.explore.model_copy(update=told)  # type: ignore[misc]
    for table in ("scores", "item_features", "exposure_counts", "user_segments", "events"):
        rows = night.warehouse.read(table, night.run)
        rows = rows.withColumn("position", F.lit(4)) if table == "events" else rows
        changed.warehouse.write(rows, table, changed.run)
    explore.run(changed)
    draws = changed.warehouse.read("draws", changed.run).where("variant = 'B'").toPandas()
    one = draws[draws["item_id"] == ITEMS[230]].set_index("segment")
    age = 5 + 231 / 1440 + 1 / 86_400
    assert one.loc["d_young", "evidence"] == pytest.approx(500 + 49 * 0.25 * (1 - np.exp(-age / 5)), abs=1e-4)
    score, evidence = one.loc["d_young", ["score", "evidence"]]
    assert one.loc["d_young", "mean"] == pytest.approx((500 * score + 0.5) / evidence)
    # The totals ended with the clock: nothing has faded.
    assert one.loc["all", "evidence"] == pytest.approx(500 + 100)


def test_within_a_week_a_quiet_item_keeps_its_draw(nights: dict[int, tuple[Night, pd.DataFrame]]) -> None:
    """The step run again, and run on the next day with the same counts: the same draws; the next week: others."""
    night, _ = nights[7]
    draws = []
    for days in (0, 1, 7):
        later = replace(night, as_of=AS_OF + timedelta(days=days))
        for table in ("scores", "item_features", "exposure_counts", "user_segments", "events"):
            if days:
                later.warehouse.write(night.warehouse.read(table, night.run), table, later.run)
        explore.run(later)
        frame = later.warehouse.read("draws", later.run).where("variant = 'M'").toPandas()
        draws.append(frame.sort_values("item_id")["draw"].to_numpy())
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).mean() > 0.99


def test_scores_that_are_no_probabilities_cannot_explore(spark: SparkSession, tmp_path: Path) -> None:
    night = a_night(spark, tmp_path)
    scores = night.warehouse.read("scores", night.run).withColumn("pctr", F.col("pctr") + 2)
    later = replace(night, as_of=AS_OF + timedelta(days=1))
    for table in ("item_features", "exposure_counts", "user_segments", "events"):
        later.warehouse.write(night.warehouse.read(table, night.run), table, later.run)
    later.warehouse.write(scores, "scores", later.run)
    with pytest.raises(PythonException, match="no probabilities"):
        explore.run(later)
