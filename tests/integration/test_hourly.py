"""Between two nights, on the real servers: what comes has a rank, what is gone leaves, and nothing else moves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import generations, serving
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.query.recommended import recommended
from segments.errors import Refused
from spark_jobs import catch_up, es_ranks, publish_changes
from spark_jobs.fields import FieldSchema
from spark_jobs.models.checkpoint import Checkpoint, save
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.registry import build
from spark_jobs.models.scoring_settings import ScoringSettings
from spark_jobs.models.settings import LogisticSettings
from spark_jobs.night import Night
from spark_jobs.nightly import HOURLY, run_night
from spark_jobs.promoted import Promoted
from spark_jobs.sources.world import World
from tests.integration.nights import FIRST, Published

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

NEW, EVENT = "p999999", FIRST + timedelta(hours=6)


@pytest.fixture
def night(published_night: Published, engine: Engine) -> Iterator[Night]:
    """The night's tables, published once more under a name of their own."""
    alias = f"hour-{os.getpid()}"
    recipe = published_night.night.recipe
    shelves = {kind: shelf.model_copy(update={"index": f"{alias}-{kind}s"}) for kind, shelf in recipe.shelves.items()}
    own = replace(published_night.night, recipe=recipe.model_copy(update={"shelves": shelves}))
    try:
        run_night(own, ("publish",))
        yield own
    finally:
        for state in engine.indices(f"{alias}*"):
            engine.delete_index(state.name, missing_ok=True)


class Stock:
    """The night's world, with one product that is new, one that is back, one sold out and one at another price."""

    def __init__(self, night: Night) -> None:
        items = night.warehouse.read("items", night.run).where("kind = 'product'")
        ids = {there: sorted(row["item_id"] for row in items.where(F.col("available") == there).collect())
               for there in (True, False)}  # fmt: skip
        self.sold_out, self.dearer, self.twin = ids[True][:3]
        self.back = ids[False][0]

    def __call__(self, settings: Any) -> World:
        stock = self

        class Restocked(World):
            def tables(self, spark: SparkSession, until: datetime) -> dict[str, DataFrame]:
                frames = super().tables(spark, until)
                items = frames["items"]
                item = F.col("item_id")
                moved = items.withColumns(
                    {
                        "available": (F.col("available") | (item == stock.back)) & (item != stock.sold_out),
                        "price": F.when(item == stock.dearer, F.col("price") + 1).otherwise(F.col("price")),
                    }
                )
                twin = items.where(item == stock.twin).withColumns(
                    {"item_id": F.lit(NEW), "created_at": F.lit(EVENT.isoformat()).cast("timestamp")}
                )
                return {**frames, "items": moved.unionByName(twin)}

        return Restocked(settings)


def _engine_ranks(engine: Engine, index: str, night: Night) -> dict[str, Any]:
    ids = [row["item_id"] for row in night.warehouse.read("item_features", night.run)
           .where("item_kind = 'product'").collect()]  # fmt: skip
    return {item: (found or {}).get("rank") for item, found in zip(ids, engine.mget(index, ids), strict=True)}


def test_new_and_restocked_items_get_ranks_in_minutes_and_sold_out_ones_leave(
    night: Night, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, stock = night.recipe.shelves["product"].index, Stock(night)
    before = _engine_ranks(engine, index, night)
    assert before[stock.sold_out]
    assert engine.mget(index, [NEW, stock.back]) == [None, None]
    monkeypatch.setattr(catch_up, "build_source", stock)
    # The event is of 6:00; a run at 6:05 knows it, and has five minutes.
    hour = replace(night, as_of=EVENT + timedelta(minutes=5))
    figures = run_night(hour, HOURLY)
    assert figures["catch_up"]["changes"] == {
        "product/changed": 1, "product/new": 1, "product/restocked": 1, "product/sold_out": 1
    }  # fmt: skip
    # Only what changed was scored, for every variant and segment.
    scored = hour.warehouse.read("scores", hour.run)
    assert {row["item_id"] for row in scored.select("item_id").distinct().collect()} == {NEW, stock.back, stock.dearer}
    # The engine holds exactly the hour's ranks, and the items' new words.
    after = _engine_ranks(engine, index, hour)
    assert None not in after.values()
    ranks = hour.warehouse.read("ranks", hour.run).where("item_kind = 'product'").collect()
    wanted: dict[str, Any] = {}
    for row in ranks:
        wanted.setdefault(row["item_id"], {}).setdefault(row["variant"], {})[row["segment"]] = row["final"]
    assert after == wanted
    assert engine.get(index, stock.sold_out) is None
    kept, was = (engine.get(name, stock.dearer)["vector"] for name in (index, serving_before(engine, index)))  # type: ignore[index]
    assert kept == was, "what changed keeps its vector"
    assert engine.get(index, stock.dearer)["price"] == pytest.approx(  # type: ignore[index]
        engine.get(serving_before(engine, index), stock.dearer)["price"] + 1  # type: ignore[index]
    )
    still = before.keys() & after.keys() - {stock.dearer}
    moved = [item for item in still if before[item] != after[item]]
    assert len(moved) < 0.5 * len(still), "only what the newcomers pushed aside may move"
    page = recommended(engine, index, {"query": {"ids": {"values": [NEW, stock.back]}}, "size": 5}, segment="all")
    assert sorted(page.items) == sorted([NEW, stock.back])
    # The model has learnt, or says why not; either way a checkpoint lies in the run's folder.
    told = json.loads((hour.folder("models") / "product" / "update.json").read_text())
    assert told["accepted"] or told["reason"]

    # Ten minutes later the model rests, and an operator may go back to the night.
    later = replace(night, as_of=EVENT + timedelta(minutes=15))
    again = run_night(later, HOURLY)
    assert "10 minutes before" in again["update_models"]["product"]["reason"]  # type: ignore[index]
    assert again["publish_changes"]["product"]["removed"] == 0  # type: ignore[index]
    whole = next(p for p in generations(engine, index) if not p.meta.night)
    rollback(engine, plan_rollback(engine, index, to=whole.generation.id))
    assert _engine_ranks(engine, index, night) == before
    with pytest.raises(Refused, match="goes on from there"):
        run_night(replace(night, as_of=FIRST), HOURLY)


def test_an_hour_scores_by_what_is_promoted_and_by_the_whole_model(
    night: Night, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A cascade is for whole lists: an hour's few items go through the shelf's model, a unit's through its own."""
    monkeypatch.setattr(catch_up, "build_source", Stock(night))
    hour = replace(night, as_of=EVENT + timedelta(minutes=5), work=tmp_path)
    shutil.copytree(night.work / night.run, tmp_path / night.run)
    steps = ("catch_up", "build_examples", "update_models", "score")
    run_night(hour, steps)

    def scores() -> dict[tuple[str, str, str], float]:
        rows = hour.warehouse.read("scores", hour.run).where("item_kind = 'product' and variant like 'B%'").collect()
        return {(row["item_id"], row["variant"], row["segment"]): row["pctr"] for row in rows}

    plain = scores()
    assert {item for item, *_ in plain} >= {NEW}
    shelf = hour.recipe.shelves["product"]
    lighter = ScoringSettings.of({"cascade": {"model": {"kind": "fm", "dim": 4}, "top": 1}})
    shelves = {**hour.recipe.shelves, "product": shelf.model_copy(update={"scoring": lighter})}
    hour = replace(hour, recipe=hour.recipe.model_copy(update={"shelves": shelves}))
    features = hour.warehouse.read("item_features", hour.run).where(F.col("item_id") == NEW).first()
    assert features is not None
    unit = f"category={features['category']}"
    encoder = Encoder(FieldSchema(fields=tuple(field for field in shelf.fields.fields if field.name == "item")))
    network = build(LogisticSettings(), encoder, seed=1)
    network.start_at(0.0)
    save(Checkpoint(LogisticSettings(), encoder, network, notes={"unit": unit}), tmp_path / "half")
    Promoted.read(hour.work).promote(tmp_path / "half", surface="product", unit=unit)
    figures = run_night(hour, ("score",))
    assert set(figures["score"]["promoted"]) == {f"product/{variant}/{unit}" for variant in ("B0", "B2")}  # type: ignore[call-overload]
    again = scores()
    assert again.keys() == plain.keys()
    rows = hour.warehouse.read("item_features", hour.run).where(F.col("category") == features["category"]).collect()
    inside = {row["item_id"] for row in rows}
    assert {chance for (item, *_), chance in again.items() if item in inside} == {0.5}
    outside = {key for key in again if key[0] not in inside}
    assert [again[key] for key in sorted(outside)] == pytest.approx([plain[key] for key in sorted(outside)], rel=1e-5)


def serving_before(engine: Engine, index: str) -> str:
    return next(p.generation.index for p in generations(engine, index) if not p.serving)


def test_a_crash_in_the_middle_leaves_the_previous_ranks_and_the_rerun_ends_right(
    night: Night, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, stock = night.recipe.shelves["product"].index, Stock(night)
    monkeypatch.setattr(catch_up, "build_source", stock)
    hour = replace(night, as_of=EVENT + timedelta(minutes=5))
    old, documents = serving(engine, index), engine.count(index)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt  # as a signal would: nothing is cleaned up

    with monkeypatch.context() as patch:
        patch.setattr(es_ranks, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run_night(hour, HOURLY)
    assert serving(engine, index) == old
    assert engine.count(index) == documents
    assert engine.get(index, stock.sold_out) is not None

    def strange(batch: pa.RecordBatch) -> Iterator[tuple[str, dict[str, str]]]:
        for item in batch.column("item_id").to_pylist():
            yield item, {"strange": item}

    with monkeypatch.context() as patch:
        # The engine takes no field it does not know: reasons that it refuses count as documents with ranks do.
        patch.setattr(publish_changes, "why_documents", lambda _: strange)
        with pytest.raises(Refused, match=r"the engine refused \d+ documents, 0 are allowed"):
            run_night(hour, ("publish_changes",))
    assert serving(engine, index) == old
    run_night(hour, ("publish_changes",))
    now = serving(engine, index)
    assert now is not None
    assert now.meta.run == hour.run
    assert engine.get(index, stock.sold_out) is None
    assert engine.get(index, NEW) is not None
    assert not any(found.half for found in generations(engine, index))
