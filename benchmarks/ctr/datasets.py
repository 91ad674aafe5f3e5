"""The two data sets of the comparison, as folders: train, valid and test as Parquet and as NumPy files, and meta.json.

Every column is an integer id: 1 … n in the order of the training rows' sorted values, 0 for what they do not hold. So
no contender has to build a vocabulary, and none sees an id that it must refuse.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from contest import OTHER
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.int64]]
WEEK = 7 * 86_400 * 1_000_000
FIRST = np.datetime64("2016-12-26", "us").astype(np.int64)  # a Monday; week 1 of The Complete Journey
SIZES = (*(200_000,) * 3, *(100_000,) * 3, *(30_000,) * 4, *(3000,) * 8, *(300,) * 8, *(30,) * 13)
IDS = ("item", "manufacturer", "category", "type", "department", "brand_class", "demographic", "grade", "brand")
CONTEXT = ("display", "mailer", "store")
BINNED = ("price", "item_rate", "item_rate_28d", "type_rate_28d")


def generated(folder: Path, *, rows: int, seed: int = 1) -> None:
    """A million rows and 39 categorical fields by default; the truth is linear, pairwise and a little nonlinear.

    Field f's id is drawn with a power law over SIZES[f] values. Each value has a weight and a vector of four; the log
    odds are their sum, 60 planted pairs' dot products and four sines of three fields' sums, with deviation 1.5. Fields
    of many values say less each, as ids do.
    """
    random = np.random.default_rng(seed)
    sizes = [max(4, int(size * min(1.0, rows / 1_000_000))) if size > 3000 else size for size in SIZES]
    ids = [(size * random.random(rows) ** 3.0).astype(np.int64) for size in sizes]
    vectors = [random.standard_normal((size, 4)).astype(np.float32)[i] for size, i in zip(sizes, ids, strict=True)]
    says = [0.4 if size <= 3000 else 0.2 for size in sizes]
    logit = sum(much * random.standard_normal(size)[i] for much, size, i in zip(says, sizes, ids, strict=True))
    for _ in range(60):
        a, b = random.choice(len(sizes), 2, replace=False)
        logit = logit + random.uniform(1.0, 3.0) * says[a] * says[b] * (vectors[a] * vectors[b]).sum(1)
    for _ in range(4):
        chosen = random.choice(np.arange(10, len(sizes)), 3, replace=False)
        logit = logit + 0.8 * np.sin(1.5 * sum(vectors[f][:, 0] for f in chosen))
    logit = 1.5 * (logit - logit.mean()) / logit.std() - 1.2
    label = (random.random(rows) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int64)
    edges = (int(0.8 * rows), int(0.9 * rows))
    part = np.searchsorted(edges, np.arange(rows), side="right")
    _write(folder, {f"f{f:02d}": column for f, column in enumerate(ids)}, label, np.zeros(rows, np.int64), part)


def journey(folder: Path, examples: Path, *, share: float, seed: int = 1) -> None:
    """Examples of The Complete Journey: visits of weeks ≤ 44 to train, 45–46 to choose the epoch, 47–48 to judge.

    Args:
        folder: where the data set goes.
        examples: an `examples` table of a run at 2017-11-27 (any folder above its Parquet files).
        share: of the visits that is kept.
        seed: which visits.
    """
    base = ["request_id", "request_at", "label"]
    table = ds.dataset([str(path) for path in sorted(examples.rglob("*.parquet"))]).to_table(
        columns=[*base, *IDS, *CONTEXT, *BINNED], filter=ds.field("item_kind") == "product"
    )
    visit = pc.dictionary_encode(table.column("request_id").combine_chunks()).indices.to_numpy()
    kept = np.random.default_rng(seed).random(visit.max() + 1) < share
    table, visit = table.filter(pa.array(kept[visit])), visit[kept[visit]]
    moment = table.column("request_at").cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    week = (moment - FIRST) // WEEK + 1
    part = np.searchsorted((44, 46), week, side="left")
    columns: Columns = {}
    for name in (*IDS, *CONTEXT):
        column = table.column(name).fill_null("").combine_chunks()
        columns[f"{name}_id"] = pc.dictionary_encode(column).indices.to_numpy().astype(np.int64)
    for name in BINNED:
        values = table.column(name).to_numpy()
        edges = np.unique(np.nanquantile(values[part == 0], np.linspace(0.0, 1.0, 33)[1:-1]))
        columns[f"{name}_bin"] = np.where(np.isnan(values), -1, np.searchsorted(edges, values)).astype(np.int64)
    _write(folder, columns, table.column("label").to_numpy().astype(np.int64), visit.astype(np.int64), part)


def _write(
    folder: Path, columns: Columns, label: NDArray[np.int64], group: NDArray[np.int64], part: NDArray[np.int64]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    coded: Columns = {}
    sizes: list[int] = []
    for name, values in columns.items():
        known = np.unique(values[part == 0])
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        coded[name] = np.where(known[place] == values, place + 1, OTHER).astype(np.int32)
        sizes.append(len(known) + 1)
    for number, name in enumerate(("train", "valid", "test")):
        rows = {column: values[part == number] for column, values in coded.items()}
        rows |= {"label": label[part == number], "group": group[part == number]}
        pq.write_table(pa.table(rows), folder / f"{name}.parquet")
        np.savez(folder / f"{name}.npz", **rows)
    counts = {name: int((part == number).sum()) for number, name in enumerate(("train", "valid", "test"))}
    meta = {"fields": list(columns), "sizes": sizes, "rows": counts, "grouped": bool(group.any())}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
