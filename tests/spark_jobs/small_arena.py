"""The planted shop of `test_train_and_score.py` as an arena, without Spark."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segments.hashing import hash_strings
from spark_jobs.arena import Arena
from spark_jobs.evaluation.visits import Visits
from spark_jobs.night import microseconds
from spark_jobs.outcome_arrays import Outcomes
from spark_jobs.recipe import Recipe
from tests.spark_jobs.test_train_and_score import AS_OF, CATALOGUE, ITEMS, RECIPE

SHOP = Recipe.of(RECIPE)
USERS = 24


def small_arena(folder: Path) -> Arena:
    """People of d_a click the even brand, of d_b the odd one, before the clock and after it."""
    random = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for visit in range(200):
        group = "ab"[visit % 2]
        for item in random.choice(ITEMS, 12, replace=False).tolist():
            likes = (item % 2 == 0) == (group == "a")
            rows.append(
                {
                    "request_id": f"r{visit}", "request_at": AS_OF - timedelta(days=100 - visit // 2),
                    "user_id": f"u{visit % 37}", "item_id": f"i{item}", "item_kind": "product",
                    "label": float(random.random() < (0.5 if likes else 0.05)), "sampling_rate": 1.0,
                    "item": f"i{item}", "brand": f"b{item % 2}", "item_rate": 0.1 * (item % 5),
                    "demographic": f"d_{group}", "display": str(item % 3), "store": f"s{visit % 4 // 3}",
                }
            )  # fmt: skip
    features = [
        {
            "item_id": f"i{item}", "item_kind": "product", "item": f"i{item}", "brand": f"b{item % 2}",
            "item_rate": 0.1 * (item % 5), "text_vector": random.standard_normal(3).astype(np.float32).tolist(),
        }
        for item in range(ITEMS)
    ]  # fmt: skip
    for name, values in (("examples", rows), ("item_features", features)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(values), folder / name / "part-0.parquet")
    ids = np.unique(np.array([f"i{item}" for item in range(ITEMS)]))
    taste = np.arange(USERS * 3) // 3 % 2
    clicks = [
        (visit, f"i{item}")
        for visit in range(USERS * 3)
        for item in random.choice(np.arange(taste[visit], ITEMS, 2), 4, replace=False)
    ]
    outcomes = Outcomes(
        kind="product",
        items=ids,
        users=[f"p{n}" for n in range(USERS)],
        visits=Visits.of(
            lists=np.zeros(ITEMS, dtype=np.int64),
            items=np.arange(ITEMS),
            item_hash=hash_strings([str(name) for name in ids]),
            list_of=np.zeros(USERS * 3, dtype=np.int64),
            click_visit=np.array([visit for visit, _ in clicks]),
            click_item=np.searchsorted(ids, [item for _, item in clicks]),
        ),
        visit_user=np.arange(USERS * 3) // 3,
        item_class=np.zeros(ITEMS, dtype=np.int64),
        classes=["unknown"],
        candidates=ITEMS,
        product_rate=np.linspace(0.1, 0.2, ITEMS),
        segments_of={f"p{n}": {"demographic": f"d_{'ab'[n % 2]}"} for n in range(USERS)},
    )
    return Arena(
        run="20171127T000000",
        shelf="product",
        clock=microseconds(AS_OF),
        valid_from=microseconds(AS_OF - timedelta(days=28)),
        examples=str(folder / "examples"),
        item_features=str(folder / "item_features"),
        outcomes=outcomes,
        catalogue=CATALOGUE,
        served=("B0", "B"),
        default_variant="B",
        sales={"A": np.linspace(0.1, 0.2, ITEMS)[None, :]},
        seed=7,
    )
