"""Clicks come out of the examples by person, oldest first; other kinds, other times and unknown items do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.models.click_history import read_clicks

NOON = datetime(2017, 11, 27, 12, tzinfo=UTC)


def us(time: datetime) -> int:
    return round(time.timestamp() * 1e6)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_what_was_clicked_by_whom_and_in_which_order(tmp_path: Path, zone: str | None) -> None:
    rows = [
        ("bob", "i2", 1.0, 3, "product"),
        ("ann", "i1", 1.0, 1, "product"),
        ("ann", "i3", 1.0, 5, "product"),
        ("ann", "i2", 1.0, 3, "product"),
        ("ann", "i1", 0.0, 2, "product"),
        ("ann", "b1", 1.0, 2, "banner"),
        ("ann", "gone", 1.0, 2, "product"),
        ("ann", "i3", 1.0, 0, "product"),
        ("cid", "i3", 1.0, 11, "product"),
    ]
    table = pa.table(
        {
            "user_id": [user for user, *_ in rows],
            "item_id": [item for _, item, *_ in rows],
            "label": [label for _, _, label, *_ in rows],
            "request_at": pa.array(
                [(NOON - timedelta(hours=ago)).replace(tzinfo=None) for *_, ago, _ in rows], pa.timestamp("us")
            ).cast(pa.timestamp("us", zone)),
            "item_kind": [kind for *_, kind in rows],
        }
    )
    pq.write_table(table, tmp_path / "part-0.parquet")
    items = pa.array(["i1", "i2", "i3"])
    span = {"since": us(NOON - timedelta(hours=10)), "before": us(NOON)}
    found = read_clicks(str(tmp_path), items, item_kind="product", **span)
    assert found.users == ["ann", "bob"]
    assert found.item.tolist() == [2, 1, 0, 1]
    assert found.user.tolist() == [0, 0, 0, 1]
    assert found.start.tolist() == [0, 3, 4]
    none = read_clicks(str(tmp_path), items, item_kind="nothing", **span)
    assert (none.users, none.item.size, none.start.tolist()) == ([], 0, [0])
