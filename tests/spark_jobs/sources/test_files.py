"""Users' own files keep the source contract; what cannot be used is refused with a reason."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from segments.errors import ContractBroken, UsageError
from spark_jobs.sources.files import Files, FilesSettings
from tests.contracts.source import SourceContract, Tables

CLOCK = datetime(2026, 3, 15, tzinfo=UTC)

MAPPING: dict[str, Any] = {
    "events": {
        "path": "events.csv",
        "format": "csv",
        "columns": {
            "ts": {"column": "when", "format": "dd.MM.yyyy HH:mm:ss"},
            "user_id": "who",
            "item_id": "what",
            "kind": {"column": "action", "values": {"view": "impression", "buy": "purchase"}},
            "surface": {"constant": "feed"},
            "request_id": "page",
            "position": "slot",
            "value": "money",
        },
        "attributes": {"device": "device"},
    },
    "items": {
        "path": "items.jsonl",
        "format": "json",
        "columns": {
            "item_id": "sku",
            "title": "name",
            "brand_id": "maker",
            "category": {"column": "path", "separator": ">"},
            "price": "price",
            "vector": "vec",
            "created_at": "since",
        },
        "attributes": {"colour": "colour"},
    },
    "users": {
        "path": "users.parquet",
        "columns": {"user_id": "id", "registered_at": {"column": "joined", "format": "epoch_s"}},
        "attributes": {"gender": "sex", "age": "age"},
    },
}


def naive(text: str) -> datetime:
    """A time as Spark hands it out."""
    return datetime.fromisoformat(text)


def event_lines() -> list[str]:
    lines = []
    for day in range(1, 15):
        for user in ("ann", "bob"):
            page, stamp = f"{user}{day}", f"{day:02d}.03.2026 10:00"
            lines += [f"{stamp}:0{slot},{user},sku{slot},view,{page},{slot},,phone" for slot in (1, 2, 3)]
            lines += [f"{stamp}:30,{user},sku2,click,{page},2,,phone", f"{stamp}:59,{user},sku2,buy,{page},,9.50,"]
    return lines


def write_files(folder: Path, events: list[str]) -> None:
    header = "when,who,what,action,page,slot,money,device"
    (folder / "events.csv").write_text("\n".join([header, *events]) + "\n")
    items = [
        {"sku": f"sku{n}", "name": f"Thing {n}", "maker": "m1", "path": "Home > Kitchen", "price": 2.5 * n,
         "vec": [0.5, n], "since": "2026-01-01T00:00:00", "colour": "red" if n == 1 else None}
        for n in (1, 2, 3)
    ]  # fmt: skip
    items.append({"sku": "later", "name": "Later", "price": 1, "since": "2026-04-01T00:00:00"})
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, items)) + "\n")
    joined = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
    users = pa.table({"id": ["ann", "bob"], "joined": [joined, joined], "sex": ["f", "m"], "age": [31, None]})
    pq.write_table(users, folder / "users.parquet")


def adapter(folder: Path, **changes: Any) -> Files:
    tables = {name: {**table, "path": str(folder / table["path"])} for name, table in MAPPING.items()}
    for name, change in changes.items():
        if isinstance(change, dict):
            tables[name] = {**tables[name], **change}
    share = changes.get("max_refused_share", 0.01)
    return Files(FilesSettings.of({"kind": "files", **tables, "max_refused_share": share}))


class TestFiles(SourceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory) -> Files:
        folder = tmp_path_factory.mktemp("files")
        write_files(folder, event_lines())
        return adapter(folder)

    @pytest.fixture(scope="class")
    @classmethod
    def until(cls) -> datetime:
        return CLOCK

    def test_values_arrive_as_mapped(self, tables: Tables) -> None:
        bought = tables["events"].where("kind = 'purchase' AND request_id = 'bob3'").collect()
        assert len(bought) == 1
        row = bought[0].asDict()
        assert len(row.pop("event_id")) == 32
        assert row == {
            "ts": naive("2026-03-03T10:00:59"),
            "user_id": "bob",
            "item_id": "sku2",
            "item_kind": "product",
            "kind": "purchase",
            "surface": "feed",
            "request_id": "bob3",
            "request_at": naive("2026-03-03T10:00:01"),
            "position": None,
            "search_term": None,
            "value": 9.5,
            "dwell_ms": None,
            "sampling_rate": 1.0,
            "context": {},
        }

    def test_items_and_users(self, tables: Tables) -> None:
        items = {row["item_id"]: row for row in tables["items"].collect()}
        assert set(items) == {"sku1", "sku2", "sku3"}
        assert items["sku1"]["category"] == ["Home", "Kitchen"]
        assert items["sku1"]["attributes"] == {"colour": "red"}
        assert items["sku2"]["attributes"] == {}
        assert items["sku3"]["vector"] == [0.5, 3.0]
        assert items["sku3"]["available"] is True
        users = {row["user_id"]: row for row in tables["users"].collect()}
        assert users["ann"]["attributes"] == {"gender": "f", "age": "31"}
        assert users["bob"]["registered_at"] == naive("2026-02-01")

    def test_exact_counts_by_day(self, tables: Tables) -> None:
        rows = tables["exposure_counts"].where("item_id = 'sku2'").collect()
        assert {(row["impressions"], row["clicks"]) for row in rows} == {(2.0, 2.0)}
        assert len(rows) == 14


BAD = {
    "03.03.2026 10:00:00,,sku1,view,p1,1,,x": "user_id is missing",
    "2026-03-03,ann,sku1,view,p2,1,,x": "ts cannot be read as timestamp",
    ",ann,sku1,view,p3,1,,x": "ts is missing",
    "03.03.2026 10:00:00,ann,sku1,stare,p4,1,,x": "kind is not known",
    "03.03.2026 10:00:00,ann,sku1,view,p5,-1,,x": "position is negative or not a number",
    "03.03.2026 10:00:00,ann,sku1,view,p6,first,,x": "position cannot be read as int",
    "03.03.2026 10:00:00,ann,sku1,buy,p7,,NaN,x": "value is negative or not a number",
    "03.03.2026 10:00:00,ann,sku1": "the row cannot be parsed",
    event_lines()[0]: "event_id occurs a second time",
}


def test_bad_rows_are_set_aside_with_the_reason(spark: SparkSession, tmp_path: Path) -> None:
    write_files(tmp_path, [*event_lines(), *BAD])
    source = adapter(tmp_path, max_refused_share=0.2)
    tables = source.tables(spark, CLOCK)
    refused = tables["refused"].collect()
    source.release()
    assert Counter(row["reason"] for row in refused) == Counter(BAD.values())
    assert {row["table"] for row in refused} == {"events"}
    (row,) = (json.loads(row["row"]) for row in refused if row["reason"] == "kind is not known")
    assert (row["kind"], row["user_id"], row["request_id"]) == ("stare", "ann", "p4")


def test_too_many_bad_rows_refuse(spark: SparkSession, tmp_path: Path) -> None:
    write_files(tmp_path, [*event_lines(), *BAD])
    with pytest.raises(ContractBroken, match=r"9 of 149 rows cannot be used: .* \(1 rows\).*table events") as error:
        adapter(tmp_path).tables(spark, CLOCK)
    assert error.value.exit_code == 4
    assert "max_refused_share (now 0.01)" in str(error.value)


def test_a_missing_column_is_named_with_those_there_are(spark: SparkSession, tmp_path: Path) -> None:
    write_files(tmp_path, event_lines())
    columns = {**MAPPING["users"]["columns"], "user_id": "uid"}
    with pytest.raises(ContractBroken) as error:
        adapter(tmp_path, users={"columns": columns}).tables(spark, CLOCK)
    assert error.value.exit_code == 4
    assert "no column uid" in error.value.what
    assert error.value.where == str(tmp_path / "users.parquet")
    assert error.value.hint == "they have id, joined, sex, age"


def test_no_files_at_all(spark: SparkSession, tmp_path: Path) -> None:
    write_files(tmp_path, event_lines())
    with pytest.raises(ContractBroken, match="cannot read the files: path not found"):
        adapter(tmp_path, items={"path": str(tmp_path / "nothing.jsonl")}).tables(spark, CLOCK)


def test_a_mapping_must_name_contract_columns(spark: SparkSession, tmp_path: Path) -> None:
    write_files(tmp_path, event_lines())
    with pytest.raises(UsageError, match=r"unknown column of users 'user'.*known: user_id"):
        adapter(tmp_path, users={"columns": {"user": "id"}}).tables(spark, CLOCK)
    with pytest.raises(UsageError, match="mapping of users lacks user_id"):
        adapter(tmp_path, users={"columns": {"registered_at": "joined"}}).tables(spark, CLOCK)
    with pytest.raises(UsageError, match="exactly one of column and constant"):
        adapter(tmp_path, users={"columns": {"user_id": {"column": "id", "constant": "x"}}})
