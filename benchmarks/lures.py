"""How well lures are found: in shops where they are known, and on The Complete Journey, judged by what came after.

    PYTHONPATH=. python benchmarks/lures.py worlds --seeds 10
    PYTHONPATH=. python benchmarks/lures.py journey --out journey-lures.json

`worlds` compares with Bayes' rule given the truth, counts of several shops added up. `journey` judges by weeks ≤ 44,
with the recipe's own settings and the night's own code, and looks at weeks 49–53: an item is *promotion-only* if at
least three households bought it then, every sale was discounted or of an item on display or in the mailer, and none of
these households had bought it before or bought it again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from spark_jobs.evaluation.calibration import ece
from spark_jobs.lures.filter import sink_lures
from spark_jobs.lures.judge import judge
from spark_jobs.lures.settings import LureSettings
from tests.spark_jobs.lures.world import LureWorld, found

SHARES = (0.005, 0.02, 0.1)
SIZES = (500, 2000, 8000)
SHOWN = (300.0, 1500.0)
LAST, FIRST_JUDGED, LAST_JUDGED = 44, 49, 53
LEAST_BUYERS = 3
TOP = 20
F64 = NDArray[np.float64]
Frame = pd.DataFrame


def worlds(seeds: int) -> list[dict[str, Any]]:
    """Precision and recall of ours, of the rules without the trees, and of who knows the truth."""
    rows = []
    for shown in SHOWN:
        for items in SIZES:
            for share in SHARES:
                sums: dict[tuple[str, float], dict[str, int]] = {}
                told, lure = [], []
                seconds = 0.0
                for seed in range(seeds * max(1, 2000 // items)):
                    world = LureWorld(seed, items=items, share=share, shown=shown)
                    begin = time.perf_counter()
                    judged = judge(world.items(), LureSettings())
                    seconds += time.perf_counter() - begin
                    assert judged is not None
                    ours = judged.verdict().probability
                    rules = expit(logit(judged.model.share) + judged.votes.sum(axis=0))
                    told.append(ours)
                    lure.append(world.lure)
                    for name, probability in (("ours", ours), ("rules", rules), ("best", world.optimal)):
                        for threshold in (0.5, 0.9):
                            counts = sums.setdefault((name, threshold), dict.fromkeys(("called", "lures", "both"), 0))
                            for key, value in found(probability, world.lure, threshold).items():
                                counts[key] += value
                row: dict[str, Any] = {"shown": shown, "items": items, "share": share,
                                       "lures": sums["best", 0.5]["lures"], "seconds": round(seconds, 1)}  # fmt: skip
                for (name, threshold), counts in sums.items():
                    row[f"{name} precision {threshold}"] = counts["both"] / max(1, counts["called"])
                    row[f"{name} recall {threshold}"] = counts["both"] / max(1, counts["lures"])
                for what in ("precision", "recall"):
                    for threshold in (0.5, 0.9):
                        best = row[f"best {what} {threshold}"]
                        row[f"{what} ratio {threshold}"] = row[f"ours {what} {threshold}"] / best if best else None
                row["ece"] = ece(np.concatenate(lure), np.concatenate(told))
                rows.append(row)
                print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    return rows


def journey() -> dict[str, Any]:
    """The fifty most suspicious, what became of them, and what sorting with the filter does to the first twenty."""
    items, queue, told = _verdicts()
    bought, promoted = _what_happened()
    later = bought[bought.week.between(FIRST_JUDGED, LAST_JUDGED)]
    by_item = later.groupby("product_id").agg(
        buyers=("household_id", "nunique"), plain=("plain", "max"), again=("again", "max")
    )
    judged = by_item[by_item.buyers >= LEAST_BUYERS]
    only = judged.index[(~judged.plain) & (~judged.again)]
    items["judged"], items["only"] = items.index.isin(judged.index), items.index.isin(only)
    lure = items.probability >= told["threshold"]
    worst = items.loc[[int(row["item"]) for row in queue[:50]]]
    report: dict[str, Any] = {
        **told,
        "judged": len(judged),
        "promotion_only": len(only),
        # What there would be if being sold in promotion alone said nothing about being bought again.
        "promotion_only_if_independent": float((~judged.plain).mean() * (~judged.again).mean() * len(judged)),
        "called": {"items": int(lure.sum()), "judged": int((lure & items.judged).sum()),
                   "promotion_only": int((lure & items.only).sum())},
        "worst_50": {"judged": int(worst.judged.sum()), "promotion_only": int(worst.only.sum())},
        "queue": queue[:50],
    }  # fmt: skip
    since = bought[bought.week.between(LAST - 3, LAST)].groupby("product_id").size()
    after = judged.join(items[["probability"]], how="inner").sort_values("probability", ascending=False, kind="stable")
    for most in (50, 300, 1000):
        report[f"promotion_only_of_worst_{most}_judged"] = float(after.index[:most].isin(only).mean())
    sorts = {
        "click rate": items.rate.to_numpy(),
        "sales of four weeks": since.reindex(items.index, fill_value=0).to_numpy() + items.rate.to_numpy(),
    }
    for name, value in sorts.items():
        report[name] = {
            "categories": _categories(items, value, lure.to_numpy()),
            "visits": _visits(items, value, lure.to_numpy(), promoted, later),
        }
    taught = _taught(bought, items)
    report["taught_by_earlier_outcomes"] = {
        f"worst {share:.0%} sunk": _categories(items, sorts["click rate"], taught >= np.quantile(taught, 1 - share))
        for share in (0.05, 0.2)
    }
    return report


def _taught(bought: Frame, items: Frame) -> F64:
    """What trees make of it that have seen which items were promotion-only in weeks 40–44: how far one could get."""
    import xgboost

    def known(until: int) -> Frame:
        past = bought[bought.week <= until]
        kept = past.groupby("product_id").agg(
            sold=("plain", "size"),
            plain=("plain", "mean"),
            again=("before", "mean"),
            people=("household_id", "nunique"),
        )
        kept["lately"] = past[past.week > until - 4].groupby("product_id").size()
        kept["list"] = items.list.astype("category").cat.codes
        return kept.join(kept.groupby("list")[["plain", "again", "sold"]].mean(), on="list", rsuffix="_list")

    then = bought[bought.week.between(40, LAST)]
    told = then.groupby("product_id").agg(
        buyers=("household_id", "nunique"), plain=("plain", "max"), again=("before", "max")
    )
    told = told[told.buyers >= LEAST_BUYERS]
    only = (~told.plain & ~told.again).astype(int)
    columns = known(39).reindex(told.index)
    settings = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.1, "nthread": 1}
    trees = xgboost.train(settings, xgboost.DMatrix(columns, only), 80)
    return np.asarray(trees.predict(xgboost.DMatrix(known(LAST).reindex(items.index))), dtype=np.float64)


def _verdicts() -> tuple[Frame, list[dict[str, Any]], dict[str, Any]]:
    """Items by id with list, click rate, probability and reason; the queue; the night's own figures."""
    from pyspark.sql import functions as F

    from spark_jobs.lure_verdicts import shelf_verdicts
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session
    from spark_jobs.sources.journey_files import week_start
    from spark_jobs.sources.registry import build_source
    from spark_jobs.tables import Warehouse

    recipe = load_recipe("complete-journey")
    rule = recipe.shelves["product"].lures
    as_of: datetime = week_start(LAST + 1).astimezone(UTC)
    spark = spark_session("lures of the journey")
    with tempfile.TemporaryDirectory() as folder:
        tables, source = Warehouse(spark, folder), build_source(recipe.source)
        frames = source.tables(spark, as_of)
        try:
            for name in ("events", "items", "exposure_counts"):
                tables.write(frames[name], name, "run")
        finally:
            source.release()
        products = tables.read("items", "run").where("kind = 'product' AND created_at IS NOT NULL")
        listed = products.select(
            "item_id", F.lit("product").alias("item_kind"), F.concat_ws(">", "category").alias("list")
        )
        tables.write(listed, "item_features", "run")
        begin = time.perf_counter()
        verdicts = shelf_verdicts(tables, "run", kind="product", as_of=as_of, rule=rule, labels={})
        seconds = time.perf_counter() - begin
        counts = tables.read("exposure_counts", "run").where("item_kind = 'product'").groupBy("item_id").agg(
            F.sum("impressions").alias("n"), F.sum("clicks").alias("c")
        )  # fmt: skip
        items = listed.join(counts, "item_id", "left").toPandas().drop(columns="item_kind")
    items = items.merge(verdicts.table.select(["item_id", "probability"]).to_pandas(), on="item_id")
    items = items.set_index(items.item_id.astype(int)).sort_index().fillna({"n": 0.0, "c": 0.0})
    overall = items.c.sum() / items.n.sum()
    items["rate"] = (items.c + 200 * overall) / (items.n + 200)
    told = {"items": len(items), "threshold": rule.threshold, "seconds": round(seconds, 1), "rules": verdicts.rules,
            "trees": verdicts.trees}  # fmt: skip
    return items, verdicts.queue, told


def _what_happened() -> tuple[Frame, Frame]:
    """Purchase lines with `plain` (neither discounted nor promoted) and `again`; promotions of the judged weeks."""
    from spark_jobs.sources.journey_files import package_folder

    lines = pd.read_parquet(
        package_folder() / "transactions.parquet",
        columns=["household_id", "store_id", "product_id", "week", "retail_disc", "coupon_disc"],
    )
    promoted = pd.read_parquet(
        package_folder() / "promotions.parquet", columns=["product_id", "store_id", "week"],
        filters=[("week", ">=", FIRST_JUDGED), ("week", "<=", LAST_JUDGED)],
    ).drop_duplicates()  # fmt: skip
    shown = promoted.assign(shown=True)
    lines = lines.merge(shown, on=["product_id", "store_id", "week"], how="left")
    lines["shown"] = lines.shown.eq(True)
    lines["plain"] = ~((lines.retail_disc > 0) | (lines.coupon_disc > 0) | lines.shown)
    weeks = lines.groupby(["household_id", "product_id"]).week.agg(["min", "max"])
    several = weeks["min"] < weeks["max"]
    lines = lines.join(several.rename("again"), on=["household_id", "product_id"])
    lines["before"] = lines.week > lines.join(weeks["min"], on=["household_id", "product_id"])["min"]
    return lines, promoted


def _categories(items: Frame, value: F64, lure: NDArray[np.bool_]) -> dict[str, Any]:
    """Of the first 20 of every list longer than that, the share that is promotion-only, of those judged."""
    lists = items.list.astype("category").cat.codes.to_numpy().astype(np.int64)
    long = np.bincount(lists)[lists] > TOP
    report = {}
    for name, sorted_by in (("without", value), ("with", _filtered(value, lists, lure))):
        top = pd.Series(-sorted_by).groupby(lists).rank(method="first").to_numpy() <= TOP
        shown = items[top & long & items.judged.to_numpy()]
        report[name] = {"judged": len(shown), "promotion_only": float(shown.only.mean())}
    return report


def _visits(items: Frame, value: F64, lure: NDArray[np.bool_], promoted: Frame, later: Frame) -> dict[str, Any]:
    """Of the first 20 of each visit's list the promotion-only, of those judged; NDCG@20 of what was bought before."""
    place = pd.Series(np.arange(len(items)), index=items.index)
    known = promoted[promoted.product_id.isin(items.index)]
    clicks = later[later.shown & later.before & later.product_id.isin(items.index)]
    clicks = clicks.drop_duplicates(["household_id", "store_id", "week", "product_id"])
    wanted = dict(iter(clicks.groupby(["store_id", "week"])))
    visits = later.drop_duplicates(["household_id", "store_id", "week"]).groupby(["store_id", "week"]).size()
    only, judged = items.only.to_numpy(), items.judged.to_numpy()
    gain = 1.0 / np.log2(np.arange(2, TOP + 2))
    ideal = np.cumsum(gain)
    sums = {name: np.zeros(3) for name in ("without", "with")}
    ndcg: dict[str, list[float]] = {"without": [], "with": []}
    for key, group in known.groupby(["store_id", "week"]):
        if key not in visits.index:
            continue
        rows = np.sort(place[group.product_id].to_numpy())
        whole = np.zeros(len(rows), dtype=np.int64)
        for name, sorted_by in (("without", value[rows]), ("with", _filtered(value[rows], whole, lure[rows]))):
            top = rows[np.argsort(-sorted_by, kind="stable")[:TOP]]
            sums[name] += visits[key] * np.array([only[top].sum(), judged[top].sum(), 1.0])
            if key in wanted:
                for _, basket in wanted[key].groupby("household_id"):
                    hit = np.isin(top, place[basket.product_id].to_numpy())
                    ndcg[name].append(float((gain * hit[:TOP]).sum() / ideal[min(TOP, len(basket)) - 1]))
    return {
        name: {"promotion_only": float(total[0] / max(1.0, total[1])), "visits": int(total[2]),
               "ndcg_repeat": float(np.mean(ndcg[name])), "visits_with_repeats": len(ndcg[name])}
        for name, total in sums.items()
    }  # fmt: skip


def _filtered(value: F64, lists: NDArray[np.int64], lure: NDArray[np.bool_]) -> F64:
    return sink_lures(np.maximum(value, 1e-300), lists, lure, top_n=100)


def main() -> None:
    """Runs one comparison and prints it; `--out` keeps it as JSON."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("what", choices=["worlds", "journey"])
    flags.add_argument("--seeds", type=int, default=10, help="shops of 2,000 items or more; more of smaller ones")
    flags.add_argument("--out", help="keep the figures here")
    given = flags.parse_args()
    report: Any = worlds(given.seeds) if given.what == "worlds" else journey()
    text = json.dumps(report, indent=1)
    if given.out:
        with open(given.out, "w", encoding="utf-8") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()
