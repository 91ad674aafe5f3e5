"""Step 7: finds the lures, moves them out of the first places, keeps every list's quota, and writes the ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from es_ranking.engine.connect import connect
from es_ranking.policy.lures import LureDecision, LureDecisions, LureStore
from segments.errors import EngineUnreachable
from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.finals import explore_lists, ranks
from spark_jobs.bandits.keys import iso_week, replicate_generator
from spark_jobs.bandits.propensity import place_propensity
from spark_jobs.bandits.quota import eligible
from spark_jobs.bandits.registry import bandit
from spark_jobs.lure_counts import EVERYBODY
from spark_jobs.lure_files import LureFile
from spark_jobs.lure_verdicts import shelf_verdicts
from spark_jobs.lures.actions import act_on_lures
from spark_jobs.tables import names_of, schema_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from spark_jobs.night import Night
    from spark_jobs.recipe import Recipe

DENIED = "an operator has decided so"


def run(night: Night) -> dict[str, object]:
    """Writes `lures` (every item's probability and reason) and `ranks` (every drawn row with its place).

    What operators have decided is asked of the engine. Where none answers, the ranks are made without, the run's lure
    file says so, and the night's gates will not publish them.

    Raises:
        ContractBroken: the decisions in force are broken.
    """
    import pyarrow as pa

    tables = night.warehouse
    decisions: dict[str, LureDecisions] = {}
    parts, told = [], {}
    for kind, shelf in sorted(night.recipe.shelves.items()):
        version, decisions[kind] = _decided(shelf.index)
        found = shelf_verdicts(
            tables, night.run, kind=kind, as_of=night.as_of, rule=shelf.lures, labels=decisions[kind].labels()
        )
        parts.append(found.table)
        kept = LureFile(
            run=night.run, index=shelf.index, judged=found.judged, lures=found.lures, decisions=version,
            rules=found.rules, trees=found.trees, queue=found.queue,
        )  # fmt: skip
        kept.write(night.work, kind)
        told[kind] = found.lures
    judged = night.spark.createDataFrame(pa.concat_tables(parts), schema_of("lures"))
    judged_rows = tables.write(judged, "lures", night.run).rows
    draws = _with_verdicts(night, tables.read("lures", night.run))
    ranked = draws.groupBy("item_kind", "variant", "segment").applyInArrow(
        ranker(night.recipe, iso_week(night.as_of), decisions), schema_of("ranks")
    )
    rows = tables.write(ranked, "ranks", night.run).rows
    return {"rows_in": tables.read("draws", night.run).count(), "rows_out": rows, "judged": judged_rows,
            "lures": told}  # fmt: skip


def _decided(index: str) -> tuple[int | None, LureDecisions]:
    """Version and decisions in force: 0 where nothing was ever decided, None where no engine answers."""
    try:
        latest = LureStore(connect(), index).latest()
    except EngineUnreachable:
        return None, LureDecisions()
    return (latest.version, latest.read()) if latest else (0, LureDecisions())


def _with_verdicts(night: Night, lures: DataFrame) -> DataFrame:
    """Every draw with the verdict of its own segment, where there is one, else with everybody's."""
    on = ["item_kind", "item_id"]
    everybody = lures.where(F.col("segment") == EVERYBODY).drop("segment")
    draws = night.warehouse.read("draws", night.run).join(F.broadcast(everybody), on, "left")
    if not any(shelf.lures.families for shelf in night.recipe.shelves.values()):
        return draws
    own = lures.where(F.col("segment") != EVERYBODY).select(
        *on, "segment", F.col("probability").alias("own"), F.col("reason").alias("why")
    )
    both = draws.join(F.broadcast(own), [*on, "segment"], "left").withColumn("reason", F.coalesce("why", "reason"))
    return both.withColumn("probability", F.coalesce("own", "probability"))


def ranker(
    recipe: Recipe, week: str, decisions: Mapping[str, LureDecisions] | None = None
) -> Callable[[pa.Table], pa.Table]:
    """What ranks one (kind, variant, segment): rows of `draws` with their item's verdict → rows of `ranks`.

    Rows are put in the order of their ids, so that nothing depends on how they came.

    Args:
        recipe: of the night.
        week: ISO week that the draws are keyed by.
        decisions: item kind → what operators have decided.
    """
    shelves = {kind: (shelf.explore, shelf.lures) for kind, shelf in recipe.shelves.items()}
    variants = {name: (variant.bandit, variant.scorer) for name, variant in recipe.variants.items()}
    decided = {kind: one.by_item for kind, one in (decisions or {}).items()}
    names = names_of("ranks")

    def rank(rows: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = rows.take(pc.sort_indices(rows, sort_keys=[("item_id", "ascending")])).combine_chunks()
        kind, variant, segment = (rows[name][0].as_py() for name in ("item_kind", "variant", "segment"))
        explore, rule = shelves[kind]
        name, scorer = variants[variant]
        chosen = bandit(name, explore)
        number = {key: rows[key].to_numpy() for key in ("draw", "mean", "evidence", "seen", "score")}
        code = rows["list"].combine_chunks().dictionary_encode()
        lists = code.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        probability = pc.fill_null(rows["probability"], 0.0).to_numpy(zero_copy_only=False).copy()
        denied = _overrule(probability, rows, segment, decided.get(kind, {}))
        # Sorting by sales is the logic of before: nothing is filtered there.
        lure = (probability >= rule.threshold) & (scorer != "sales")
        # The quota is for items nobody knows, not for those that are half found out or hopeless.
        few = (number["seen"] < explore.few_impressions) & (probability < 0.5 * rule.threshold)
        few &= eligible(number["mean"], lists, least_rate=explore.least_rate)
        quota = explore.quota(explores=chosen.explores)
        drawn = np.maximum(number["draw"], 0.0)
        original = ranks(drawn, lists)
        acted = act_on_lures(
            np.maximum(drawn, 1e-300), lists, lure,
            names=code.dictionary.to_pylist(), segment=segment, actions=rule.actions,
        )  # fmt: skip
        final, before, after = explore_lists(acted.value, lists, few, quota=quota)
        place = ranks(final, lists, guess=after)
        propensity = place_propensity(
            chosen, Belief(number["mean"], number["evidence"]), lists=lists, few=few, last=acted.last,
            factor=acted.factor, places=place, quota=quota, replicates=explore.replicates,
            generator=replicate_generator(week, variant, segment),
        )  # fmt: skip
        moves: list[list[str]] = [[]] * place.size
        for i in np.flatnonzero(few & (after != before)):
            moves[i] = [f"quota: {before[i]} → {place[i]}"]
        for i in np.flatnonzero(lure & (acted.value < drawn)):
            reason = DENIED if denied[i] else rows["reason"][int(i)].as_py()
            moves[i] = [f"lure: {original[i]} → {place[i]}: {reason}"]
        return pa.table(
            [rows["item_kind"], rows["variant"], rows["segment"], rows["item_id"], rows["list"], rows["score"],
             rows["draw"], propensity, probability, pa.array(moves, pa.list_(pa.string())), final,
             place.astype(np.int32)],
            names=names,
        )  # fmt: skip

    return rank


def _overrule(
    probability: NDArray[np.float64], rows: pa.Table, segment: str, decided: Mapping[str, LureDecision]
) -> NDArray[np.bool_]:
    """Puts 1 where an operator has denied and 0 where one has allowed; (n,) which are denied."""
    denied = np.zeros(probability.size, dtype=np.bool_)
    if decided:
        for i, item in enumerate(rows["item_id"].to_pylist()):
            one = decided.get(item)
            if one is not None and one.holds_for(segment):
                denied[i] = one.verdict == "deny"
                probability[i] = float(denied[i])
    return denied


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("filter_lures", run)


if __name__ == "__main__":
    main()
