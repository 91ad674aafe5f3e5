"""A whole night on a generated world: what it leaves, that it can be replayed, and that a kill costs no more than a
step."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import serving
from es_ranking.query.recommended import recommended
from segments.errors import Refused
from spark_jobs.backfill import plan_backfill, serving_runs
from spark_jobs.nightly import NIGHTLY, run_night
from spark_jobs.retention import plan_retention, published_runs
from spark_jobs.run_history import history
from tests.integration.nights import RECIPE, SECOND, Published

# One of each kind: writes tables by tasks, writes files of its own, reads them to write tables, changes the engine.
KILLED = ("ingest", "train", "score", "publish")
TABLES = ("events", "items", "users", "exposure_counts", "user_segments", "examples", "item_features", "scores",
          "draws", "lures", "ranks")  # fmt: skip


def fingerprint(frame: DataFrame) -> tuple[int, int]:
    """Rows and an order-free checksum of every bit of them."""
    columns = [F.to_json(name) if "map" in kind else F.col(name) for name, kind in frame.dtypes]
    row = (
        frame.select(F.xxhash64(*columns).alias("h")).agg(F.count("*"), F.sum(F.col("h").cast("decimal(38,0)"))).first()
    )
    assert row is not None
    return int(row[0]), int(row[1] or 0)


def test_every_table_is_there_and_every_place_is_taken_once(published_night: Published) -> None:
    night = published_night.night
    for table in TABLES:
        assert night.warehouse.read(table, night.run).count() > 0, table
    ranks = night.warehouse.read("ranks", night.run)
    lists = ranks.groupBy("item_kind", "variant", "segment", "list").agg(
        F.count("*").alias("n"), F.min("rank").alias("low"), F.max("rank").alias("high"),
        F.countDistinct("rank").alias("places"), F.min("final").alias("least"),
    )  # fmt: skip
    for row in lists.collect():
        assert (row["low"], row["high"], row["places"]) == (1, row["n"], row["n"])
        assert row["least"] > 0


def test_what_training_knows_of_its_probabilities_is_what_the_gates_judge(published_night: Published) -> None:
    told = json.loads((published_night.night.folder("models") / "product" / "metrics.json").read_text())
    gates = {gate["gate"]: gate for gate in published_night.figures["publish"]["product"]["gates"]}  # type: ignore[index]
    assert gates["calibration"]["figure"] == pytest.approx(told["mean_ratio"])
    assert gates["ece"]["figure"] == pytest.approx(told["ece"])
    families = told["segments"].values()
    off = told["segments_off"] / sum(len(values) for values in families)
    assert gates["segments"]["figure"] == pytest.approx(off)


def test_the_engine_holds_the_ranks_and_sorts_by_them(published_night: Published, engine: Engine) -> None:
    night, index = published_night.night, f"{published_night.alias}-products"
    ranks = night.warehouse.read("ranks", night.run).where("item_kind = 'product' AND variant = 'B2'")
    segment = ranks.where("segment <> 'all'").agg(F.min("segment")).collect()[0][0]
    wanted = ranks.where((F.col("segment") == segment) & (F.col("list") == _some_list(ranks)))
    order = [row["item_id"] for row in wanted.orderBy("rank").limit(20).collect()]
    page = recommended(engine, index, {"query": {"term": {"list": _some_list(ranks)}}, "size": 20},
                       segment=segment, variant="B2")  # fmt: skip
    assert page.items == order
    assert page.generation == published_night.figures["publish"]["product"]["generation"]  # type: ignore[index]


def _some_list(ranks: DataFrame) -> str:
    return str(ranks.agg(F.min("list")).collect()[0][0])


def test_every_list_keeps_its_exploration_quota(published_night: Published) -> None:
    night = published_night.night
    explore = night.recipe.shelves["product"].explore
    seen = night.warehouse.read("draws", night.run).select("item_kind", "variant", "segment", "item_id", "seen")
    lures = night.warehouse.read("lures", night.run).where("item_kind = 'product' AND segment = 'all'")
    threshold = night.recipe.shelves["product"].lures.threshold
    ranks = (
        night.warehouse.read("ranks", night.run)
        .where("item_kind = 'product' AND variant <> 'A'")
        .join(seen, ["item_kind", "variant", "segment", "item_id"])
        .join(lures.select("item_id", (F.col("probability") >= threshold).alias("lure")), "item_id")
    )
    few = (F.col("seen") < explore.few_impressions) & ~F.col("lure")
    top = F.col("rank") <= explore.top
    rows = ranks.groupBy("variant", "segment", "list").agg(
        F.sum((few & top).cast("int")).alias("shown"), F.sum(few.cast("int")).alias("there"),
        F.sum(top.cast("int")).alias("places"),
    )  # fmt: skip
    counted = rows.collect()
    assert any(row["there"] > 0 for row in counted), "the world must have little-seen items"
    for row in counted:
        assert row["shown"] >= min(row["there"], int(explore.share * row["places"])), row


def test_the_night_again_is_the_same_night(published_night: Published, tmp_path: Path) -> None:
    """The same clock gives bit-identical tables with 1, 2 and 7 partitions."""
    night = published_night.night
    spark = night.spark
    wanted = {table: fingerprint(night.warehouse.read(table, night.run)) for table in TABLES}
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        for partitions in (1, 7):
            spark.conf.set("spark.sql.shuffle.partitions", partitions)
            spark.conf.set("spark.sql.adaptive.enabled", "false")
            source = night.recipe.source.model_copy(update={"partitions": partitions})
            recipe = night.recipe.model_copy(update={"source": source})
            folder = tmp_path / str(partitions)
            again = replace(night, recipe=recipe, root=str(folder / "warehouse"), work=folder / "runs")
            run_night(again, NIGHTLY[:-1])
            found = {table: fingerprint(again.warehouse.read(table, again.run)) for table in TABLES}
            assert found == wanted, [table for table in TABLES if found[table] != wanted[table]]
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(before))
        spark.conf.unset("spark.sql.adaptive.enabled")


def test_a_kill_leaves_the_old_ranks_the_rerun_ends_right_and_an_older_night_stays_out(
    published_night: Published, engine: Engine, tmp_path: Path
) -> None:
    whole = replace(published_night.at(SECOND), root=str(tmp_path / "whole"), work=tmp_path / "whole-runs")
    run_night(whole, NIGHTLY[:-1])
    killed = replace(whole, root=str(tmp_path / "killed"), work=tmp_path / "killed-runs")
    index = f"{published_night.alias}-products"
    old = serving(engine, index)
    documents = engine.count(index)
    draw = random.Random(5)
    for step in NIGHTLY:
        if step in KILLED:
            _run_and_kill(killed.root, killed.work, step, wait=draw.uniform(0.0, 2.0))
            assert serving(engine, index) == old, step
            assert engine.count(index) == documents
        run_night(killed, (step,))
    for table in TABLES:
        assert fingerprint(killed.warehouse.read(table, killed.run)) == fingerprint(
            whole.warehouse.read(table, whole.run)
        )
    now = serving(engine, index)
    assert now is not None
    assert now.meta.run == killed.run
    assert engine.count(index) == now.meta.documents
    with pytest.raises(Refused, match="newer"):
        run_night(published_night.night, ("publish",))
    assert serving(engine, index) == now


def _run_and_kill(root: str, work: Path, step: str, *, wait: float) -> None:
    """Starts the step in a process of its own, kills its whole group somewhere after it has begun to work."""
    code = (
        "import sys\nfrom datetime import datetime, UTC\nfrom pathlib import Path\n"
        "from spark_jobs.night import Night\nfrom spark_jobs.nightly import run_night\n"
        "from spark_jobs.recipe import load_recipe\nfrom spark_jobs.session import spark_session\n"
        f"night = Night(spark_session('killed', memory='1g'), load_recipe({str(RECIPE)!r}), "
        f"datetime.fromisoformat({SECOND.isoformat()!r}), {root!r}, Path({str(work)!r}))\n"
        f"run_night(night, ({step!r},), on_step=lambda name: print('begun', flush=True))\nprint('ended', flush=True)\n"
    )
    here = os.environ | {"PYTHONPATH": str(RECIPE.parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True, env=here,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "begun"
        time.sleep(wait)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_backfill_skips_it_and_its_history_is_told(published_night: Published, engine: Engine) -> None:
    night = published_night.night
    (planned,) = plan_backfill(
        [night.as_of], night.recipe, tables=night.warehouse, work=night.work,
        served=serving_runs(engine, night.recipe),
    )  # fmt: skip
    assert (planned.steps, planned.why.partition(";")[0]) == ((), "whole")
    row = next(row for row in history(night.work) if row["run"] == night.run)
    assert (row["kind"], row["ranks"]) == ("nightly", night.warehouse.read("ranks", night.run).count())
    assert row["generations"]
    assert all(f"-{night.run.lower()}-" in name for name in row["generations"])
    kept = plan_retention(night.warehouse, night.work, keep_nights=9, keep_hours=99, published=published_runs(engine))
    assert all(fate.stays for fate in kept)
