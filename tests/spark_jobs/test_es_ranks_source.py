"""Anybody's frame as a generation: the driver switches, and whatever fails, the one before serves."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import generations, serving, users_alias
from es_ranking.query.recommended import recommended
from segments.errors import ContractBroken, UsageError
from spark_jobs.es_ranks_source import COLUMNS, EsRanks
from spark_jobs.tables import schema_of
from tests.es_ranking.publish.shop import CATALOGUE, NIGHT, Publisher, item, ranks, top

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NEXT = "20171128T000000"
SCHEMA = """item_id STRING, kind STRING, title STRING, brand_id STRING, category ARRAY<STRING>, price DOUBLE,
    available BOOLEAN, attributes MAP<STRING,STRING>, list STRING,
    ranks ARRAY<STRUCT<variant:STRING,segment:STRING,final:DOUBLE>>"""
ITEMS = 30
ROOT = Path(__file__).parents[2]


def frame(spark: SparkSession, *, turn: int = 5) -> DataFrame:
    rows = []
    for number in range(ITEMS):
        scores = [(variant, segment, score) for variant, found in ranks(number, turn=turn, items=ITEMS).items()
                  for segment, score in found.items()]  # fmt: skip
        rows.append({**item(number), "list": "FOOD", "ranks": scores})
    return spark.createDataFrame(rows, " ".join(SCHEMA.split())).repartition(3, "item_id")


@pytest.fixture
def options(spark: SparkSession, engine_url: str, index_name: str, tmp_path: Path) -> dict[str, str]:
    spark.dataSource.register(EsRanks)
    CATALOGUE.write(tmp_path / "catalogue.json")
    settings = tmp_path / "publish.yaml"
    settings.write_text("{batch_documents: 7, min_disk_free_share: 0, gates: {min_overlap: null}}")
    return {"alias": index_name, "run": NEXT, "default_variant": "B", "catalogue": str(tmp_path / "catalogue.json"),
            "settings": str(settings), "url": engine_url}  # fmt: skip


def save(rows: DataFrame, options: dict[str, str]) -> None:
    rows.write.format("es_ranks").options(**options).mode("overwrite").save()


def test_a_frame_becomes_the_generation_that_serves(
    spark: SparkSession, engine: Engine, index_name: str, published: Publisher, options: dict[str, str]
) -> None:
    save(frame(spark), {**options, "run": NIGHT})
    assert top(engine, index_name, "recommended", 2) == ["i025", "i026"]
    assert engine.count(users_alias(index_name)) == 0
    published(NIGHT)
    save(frame(spark, turn=3), options)
    now = serving(engine, index_name)
    assert now is not None
    assert (now.meta.run, now.meta.documents, engine.count(index_name)) == (NEXT, ITEMS, ITEMS)
    assert engine.get(index_name, "i007") == {
        **item(7), "category": ["FOOD", "FOOD>C1"], "list": "FOOD", "rank": ranks(7, turn=3, items=ITEMS)
    }  # fmt: skip
    # Who is in which segment stays as it served.
    page = recommended(engine, index_name, {"size": 1}, user="u1")
    assert (page.segment, page.items) == ("d_young", ["i027"])


def test_a_row_that_cannot_be_published_leaves_everything_as_it_was(
    spark: SparkSession, engine: Engine, index_name: str, published: Publisher, options: dict[str, str]
) -> None:
    published(NIGHT)
    rows = frame(spark)
    bad = F.transform("ranks", lambda one: F.struct(one.variant, one.segment, F.lit(-1.0).alias("final")))
    spoiled = rows.withColumn("ranks", F.when(F.col("item_id") == "i011", bad).otherwise(F.col("ranks")))
    with pytest.raises(Exception, match=r"i011 has the score -1\.0"):
        save(spoiled, options)
    # So does what only the driver can see: an item in two rows, nothing at all, an older run.
    with pytest.raises(Exception, match="30 documents instead of 60"):
        save(rows.unionAll(rows), options)
    with pytest.raises(Exception, match="positive"):
        save(rows.limit(0), options)
    with pytest.raises(Exception, match="nothing was changed"):
        save(rows, {**options, "run": "20171126T000000"})
    assert [found.generation.id for found in generations(engine, index_name)] == [f"{index_name}-{NIGHT.lower()}-1"]
    assert top(engine, index_name, "recommended", 2) == ["i000", "i001"]


def test_what_is_wrong_with_a_frame_or_an_option_is_said(spark: SparkSession, options: dict[str, str]) -> None:
    rows = frame(spark)
    source = EsRanks({})
    items = {field.name: field.dataType.simpleString() for field in schema_of("items").fields}
    assert items.items() - COLUMNS.items() == {("vector", "array<float>")}
    with pytest.raises(UsageError, match="written whole"):
        source.writer(rows.schema, overwrite=False)
    with pytest.raises(ContractBroken, match="ranks is missing"):
        source.writer(rows.drop("ranks").schema, overwrite=True)
    with pytest.raises(ContractBroken, match="price is string, not double; colour is unknown"):
        source.writer(rows.withColumns({"price": F.lit("1"), "colour": F.lit("red")}).schema, overwrite=True)
    with pytest.raises(UsageError, match="alias"):
        source.writer(rows.schema, overwrite=True)
    with pytest.raises(Exception, match="tempo"):
        save(rows, {**options, "tempo": "1"})


def test_a_task_that_is_tried_again_writes_the_same(
    engine: Engine, index_name: str, published: Publisher, options: dict[str, str], tmp_path: Path
) -> None:
    """Spark in a process of its own, where a task may fail once: each one does, after half of its rows."""
    published(NIGHT)
    code = f"""
        from pathlib import Path
        from pyspark import TaskContext
        from spark_jobs.es_ranks_source import EsRanks
        from spark_jobs.session import spark_session
        from tests.spark_jobs.test_es_ranks_source import frame, save

        def failing_once(batches):
            for batch in batches:
                half = batch.num_rows // 2
                yield batch.slice(0, half)
                tried = Path({str(tmp_path)!r}) / f"tried-{{TaskContext.get().partitionId()}}"
                if not tried.exists():
                    tried.touch()
                    raise ValueError("planned")
                yield batch.slice(half)

        spark = spark_session("retried", master="local[2,2]", memory="1g")
        spark.dataSource.register(EsRanks)
        rows = frame(spark)
        save(rows.mapInArrow(failing_once, rows.schema), {options!r})
    """
    run: Any = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(list(tmp_path.glob("tried-*"))) == 3
    assert top(engine, index_name, "recommended", 2) == ["i025", "i026"]
    assert engine.count(index_name) == ITEMS
