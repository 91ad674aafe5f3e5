"""Step 7: finds the lures, moves them out of the first places, keeps every list's quota, and writes the ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.finals import explore_lists, ranks
from spark_jobs.bandits.keys import iso_week, replicate_generator
from spark_jobs.bandits.propensity import place_propensity
from spark_jobs.bandits.quota import eligible
from spark_jobs.bandits.registry import bandit
from spark_jobs.lure_counts import lure_counts
from spark_jobs.lures.filter import sink_lures
from spark_jobs.lures.suspicion import Signal, suspicion
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_jobs.night import Night
    from spark_jobs.recipe import Recipe

FOLLOWED = "only {rate} of its clicks are followed by interest, {peers} among its peers"
BOUGHT_AGAIN = "only {rate} of those who bought it bought it again, {peers} among its peers"
PLAIN = "only {rate} of its sales are without discount or promotion, {peers} among its peers"


def run(night: Night) -> dict[str, object]:
    """Writes `lures` (every item's probability and reason) and `ranks` (every drawn row with its place)."""
    tables = night.warehouse
    judged = night.spark.createDataFrame(_judge(night), schema_of("lures"))
    judged_rows = tables.write(judged, "lures", night.run).rows
    lures = tables.read("lures", night.run)
    draws = tables.read("draws", night.run).join(F.broadcast(lures), ["item_kind", "item_id"], "left")
    ranked = draws.groupBy("item_kind", "variant", "segment").applyInArrow(
        _ranker(night.recipe, iso_week(night.as_of)), schema_of("ranks")
    )
    rows = tables.write(ranked, "ranks", night.run).rows
    flagged = {}
    for kind, shelf in sorted(night.recipe.shelves.items()):
        is_lure = (F.col("item_kind") == kind) & (F.col("probability") >= shelf.lures.threshold)
        flagged[kind] = lures.where(is_lure).count()
    return {"rows_in": tables.read("draws", night.run).count(), "rows_out": rows, "judged": judged_rows,
            "lures": flagged}  # fmt: skip


def _judge(night: Night) -> pa.Table:
    import pyarrow as pa

    features = night.warehouse.read("item_features", night.run).select("item_kind", "item_id", "list")
    parts = []
    for kind, shelf in sorted(night.recipe.shelves.items()):
        rule = shelf.lures
        counts = lure_counts(
            night.warehouse.read("events", night.run),
            features.where(F.col("item_kind") == kind),
            night.warehouse.read("exposure_counts", night.run),
            kind=kind,
            as_of=night.as_of,
            settings=rule,
        ).toPandas()
        counts = counts.sort_values("item_id", ignore_index=True)
        column = {name: counts[name].to_numpy(dtype=np.float64) for name in counts.columns[2:]}
        if rule.follow == "off":
            signals = []
        elif rule.follow == "engagement":
            signals = [Signal(FOLLOWED, column["followed"], column["judged"])]
        else:
            signals = [
                Signal(BOUGHT_AGAIN, column["followed"], column["judged"]),
                Signal(PLAIN, column["plain"], column["sold"]),
            ]
        lists = np.unique(counts["list"].to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)
        verdict = suspicion(
            lists, impressions=column["impressions"], clicks=column["clicks"], signals=signals,
            prior_share=rule.prior_share, drop=rule.drop, lift=rule.lift,
        )  # fmt: skip
        column_of = {
            "item_id": pa.array(counts["item_id"], pa.string()),
            "item_kind": pa.array([kind] * len(counts), pa.string()),
            "probability": verdict.probability,
            "reason": pa.array(verdict.reason, pa.string()),
        }
        parts.append(pa.table(column_of))
    return pa.concat_tables(parts)


def _ranker(recipe: Recipe, week: str) -> Callable[[pa.Table], pa.Table]:
    """One (kind, variant, segment): its rows in the order of their ids, so that nothing depends on how they came."""
    shelves = {kind: (shelf.explore, shelf.lures) for kind, shelf in recipe.shelves.items()}
    variants = {name: (variant.bandit, variant.scorer) for name, variant in recipe.variants.items()}
    names = schema_of("ranks").fieldNames()

    def rank(rows: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = rows.take(pc.sort_indices(rows, sort_keys=[("item_id", "ascending")])).combine_chunks()
        kind, variant, segment = (rows[name][0].as_py() for name in ("item_kind", "variant", "segment"))
        explore, rule = shelves[kind]
        name, scorer = variants[variant]
        chosen = bandit(name, explore)
        number = {key: rows[key].to_numpy() for key in ("draw", "mean", "evidence", "seen", "score")}
        probability = pc.fill_null(rows["probability"], 0.0).to_numpy()
        # Sorting by sales is the logic of before: nothing is filtered there.
        lure = (probability >= rule.threshold) & (scorer != "sales")
        code = rows["list"].combine_chunks().dictionary_encode()
        lists = code.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        # The quota is for items nobody knows, not for those that are half found out or hopeless.
        few = (number["seen"] < explore.few_impressions) & (probability < 0.5 * rule.threshold)
        few &= eligible(number["mean"], lists, least_rate=explore.least_rate)
        quota = explore.quota(explores=chosen.explores)
        drawn = np.maximum(number["draw"], 0.0)
        original = ranks(drawn, lists)
        sunk = sink_lures(np.maximum(drawn, 1e-300), lists, lure, top_n=rule.top_n)
        final, before, after = explore_lists(sunk, lists, few, quota=quota)
        place = ranks(final, lists)
        propensity = place_propensity(
            chosen, Belief(number["mean"], number["evidence"]), lists=lists, few=few, last=lure, places=place,
            quota=quota, replicates=explore.replicates, generator=replicate_generator(week, variant, segment),
        )  # fmt: skip
        moves: list[list[str]] = [[]] * place.size
        for i in np.flatnonzero(few & (after != before)):
            moves[i] = [f"quota: {before[i]} → {place[i]}"]
        for i in np.flatnonzero(lure & (sunk < drawn)):
            moves[i] = [f"lure: {original[i]} → {place[i]}: {rows['reason'][int(i)].as_py()}"]
        return pa.table(
            [rows["item_kind"], rows["variant"], rows["segment"], rows["item_id"], rows["list"], rows["score"],
             rows["draw"], propensity, probability, pa.array(moves, pa.list_(pa.string())), final,
             place.astype(np.int32)],
            names=names,
        )  # fmt: skip

    return rank


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("filter_lures", run)


if __name__ == "__main__":
    main()
