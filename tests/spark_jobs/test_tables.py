"""Tables appear whole or not at all; a crash at any moment leaves what was there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from segments.errors import ContractBroken, Refused, UsageError
from spark_jobs.tables import SCHEMAS, Warehouse, conform, manifests_at, names_of, schema_of
from spark_jobs.whole_files import WholeFiles

RUN = "20171127T000000"


def frame(spark: SparkSession, *rows: tuple[str | None, str | None]) -> DataFrame:
    return spark.createDataFrame(list(rows), "list_id STRING, item_id STRING")


def rows(frame: DataFrame) -> list[tuple[str, str]]:
    return sorted((row["list_id"], row["item_id"]) for row in frame.collect())


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    return Warehouse(spark, str(tmp_path / "warehouse"))


def test_writing_again_replaces_exactly_that_table_of_that_run(spark: SparkSession, warehouse: Warehouse) -> None:
    first = warehouse.write(frame(spark, ("a", "1"), ("a", "2")), "list_items", RUN)
    warehouse.write(frame(spark, ("other", "1")), "list_items", "20171128T000000")
    assert first.rows == 2
    warehouse.write(frame(spark, ("b", "3")), "list_items", RUN)
    assert rows(warehouse.read("list_items", RUN)) == [("b", "3")]
    assert rows(warehouse.read("list_items", "20171128T000000")) == [("other", "1")]
    assert warehouse.runs("list_items") == [RUN, "20171128T000000"]
    told = manifests_at(Path(warehouse.root).as_uri())
    assert told.runs("list_items") == [RUN, "20171128T000000"], "told without Spark"
    assert told.manifest("list_items", RUN) == warehouse.manifest("list_items", RUN)
    assert told.size("list_items", RUN) == warehouse.size("list_items", RUN) > 0 == warehouse.size("items", RUN)
    # Nothing of the first attempt is left, nor checksum files that could contradict the manifest.
    folder = Path(warehouse.root) / "list_items" / f"run={RUN}"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["manifest.json", Path(warehouse.folder("list_items", RUN)).name]
    )


def test_a_table_without_rows_keeps_its_columns(spark: SparkSession, warehouse: Warehouse) -> None:
    none = spark.createDataFrame([], schema_of("events"))
    assert warehouse.write(none, "events", RUN).rows == 0
    assert warehouse.read("events", RUN).schema.simpleString() == schema_of("events").simpleString()
    assert warehouse.read("events", RUN).count() == 0


def test_a_table_that_was_never_written_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(Refused, match="events has not been written for run") as error:
        warehouse.read("events", RUN)
    assert error.value.exit_code == 3
    assert warehouse.manifest("events", RUN) is None
    assert warehouse.runs("events") == []
    with pytest.raises(UsageError, match="unknown table 'event'"):
        warehouse.read("event", RUN)


def test_data_without_a_manifest_is_invisible(spark: SparkSession, warehouse: Warehouse) -> None:
    """What a writer leaves that dies before its manifest."""
    orphan = f"{warehouse.root}/list_items/run={RUN}/attempt-dead"
    frame(spark, ("x", "9")).write.parquet(orphan)
    with pytest.raises(Refused):
        warehouse.read("list_items", RUN)
    warehouse.write(frame(spark, ("a", "1")), "list_items", RUN)
    assert rows(warehouse.read("list_items", RUN)) == [("a", "1")]
    assert not Path(orphan).exists()


def test_a_dropped_table_is_invisible_before_it_is_gone(
    spark: SparkSession, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.write(frame(spark, ("a", "1")), "list_items", RUN)
    remove, calls = WholeFiles.remove, iter(range(9))

    def first_only(files: WholeFiles, name: str) -> None:
        if next(calls):
            raise KeyboardInterrupt
        remove(files, name)

    with monkeypatch.context() as patch:
        patch.setattr(WholeFiles, "remove", first_only)
        with pytest.raises(KeyboardInterrupt):
            warehouse.drop("list_items", RUN)
    assert (warehouse.runs("list_items"), warehouse.begun("list_items")) == ([], [RUN])
    warehouse.drop("list_items", RUN)
    assert warehouse.begun("list_items") == []


KILLED = """
import os, signal, sys
from spark_jobs.session import spark_session
from spark_jobs.tables import Warehouse
from spark_jobs.whole_files import WholeFiles

spark = spark_session("killed writer", master="local[1]", memory="512m")
def die(*_):
    sys.stdout.write("dying")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
WholeFiles.put = die
Warehouse(spark, sys.argv[1]).write(spark.createDataFrame([("new", "1")], "list_id STRING, item_id STRING"),
                                    "list_items", sys.argv[2])
"""


def test_a_writer_killed_between_data_and_manifest_changes_nothing(spark: SparkSession, warehouse: Warehouse) -> None:
    warehouse.write(frame(spark, ("old", "1")), "list_items", RUN)
    # A process of its own, not a child of this one's Java gateway.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_GATEWAY", "SPARK_"))
    }
    environment = {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, warehouse.root, RUN],
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert killed.stdout == b"dying"
    folder = Path(warehouse.root) / "list_items" / f"run={RUN}"
    assert len(list(folder.glob("attempt-*"))) == 2
    assert rows(warehouse.read("list_items", RUN)) == [("old", "1")]
    warehouse.write(frame(spark, ("new", "1")), "list_items", RUN)
    assert rows(warehouse.read("list_items", RUN)) == [("new", "1")]
    assert len(list(folder.glob("attempt-*"))) == 1


def test_nulls_where_a_value_is_required_are_counted_and_refused(spark: SparkSession, warehouse: Warehouse) -> None:
    warehouse.write(frame(spark, ("old", "1")), "list_items", RUN)
    with pytest.raises(ContractBroken, match=r"list_items: null .*: item_id \(2 rows\)") as error:
        warehouse.write(frame(spark, ("a", None), ("b", "2"), ("c", None)), "list_items", RUN)
    assert error.value.exit_code == 4
    assert rows(warehouse.read("list_items", RUN)) == [("old", "1")]
    assert len(list((Path(warehouse.root) / "list_items" / f"run={RUN}").glob("attempt-*"))) == 1


def test_a_gate_sees_the_rows_before_anybody_else(spark: SparkSession, warehouse: Warehouse) -> None:
    warehouse.write(frame(spark, ("old", "1")), "list_items", RUN)

    def refuse(written: DataFrame) -> None:
        assert rows(written) == [("new", "1")]
        assert rows(warehouse.read("list_items", RUN)) == [("old", "1")]
        raise Refused("not these")

    with pytest.raises(Refused, match="not these"):
        warehouse.write(frame(spark, ("new", "1")), "list_items", RUN, gate=refuse)
    assert rows(warehouse.read("list_items", RUN)) == [("old", "1")]
    assert len(list((Path(warehouse.root) / "list_items" / f"run={RUN}").glob("attempt-*"))) == 1


def test_columns_are_checked_by_name_and_type(spark: SparkSession) -> None:
    wrong = spark.createDataFrame([(1, "x", "y")], "item_id INT, list STRING, extra STRING")
    with pytest.raises(ContractBroken) as error:
        conform(wrong, "list_items")
    for complaint in ("list_id is missing", "item_id is int, not string", "extra is not in the contract"):
        assert complaint in error.value.what


def test_feature_tables_take_further_columns_after_the_contract(spark: SparkSession, warehouse: Warehouse) -> None:
    features = spark.createDataFrame([(0.5, "h", "l", "product", "i")], "rate DOUBLE, x STRING, list STRING, "
                                     "item_kind STRING, item_id STRING")  # fmt: skip
    warehouse.write(features, "item_features", RUN)
    assert warehouse.read("item_features", RUN).columns == ["item_id", "item_kind", "list", "rate", "x"]


def test_any_path_spark_knows(spark: SparkSession, tmp_path: Path) -> None:
    as_uri, as_path = Warehouse(spark, (tmp_path / "w").as_uri()), Warehouse(spark, str(tmp_path / "w"))
    as_uri.write(frame(spark, ("a", "1")), "list_items", RUN)
    assert rows(as_path.read("list_items", RUN)) == [("a", "1")]


@pytest.mark.usefixtures("spark")
def test_the_names_of_columns_are_known_without_spark() -> None:
    assert {table: names_of(table) for table in SCHEMAS} == {table: schema_of(table).fieldNames() for table in SCHEMAS}
    with pytest.raises(UsageError, match="drws"):
        names_of("drws")


def test_every_column_is_documented() -> None:
    page = Path("docs/tables.md").read_text(encoding="utf-8")
    sections = {section.split("\n", 1)[0].strip(" `"): section for section in page.split("\n## ")[1:]}
    for table in SCHEMAS:
        for field in schema_of(table).fields:
            assert f"`{field.name}`" in sections[table], f"{table}.{field.name}"
