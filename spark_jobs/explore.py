"""Step 6: draws tonight's number of every scored item, from what the model says and what its segment has done since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from segments.errors import ContractBroken
from segments.hashing import U64, hash_strings
from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.keys import draw_uniforms, iso_week
from spark_jobs.bandits.registry import bandit
from spark_jobs.history import clock, current_segments, exact_sum
from spark_jobs.tables import schema_of

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa
    from pyspark.sql import DataFrame

    from spark_jobs.night import Night
    from spark_jobs.recipe import Recipe

COUNTS = ("seen", "clicked", "impressions", "clicks")


def run(night: Night) -> dict[str, object]:
    """Writes `draws`: one row for each row of `scores` whose item has features (and with them a list).

    Raises:
        ContractBroken: a variant that explores has scores that are no probabilities.
    """
    tables, recipe = night.warehouse, night.recipe
    totals = _totals(tables.read("exposure_counts", night.run), night.as_of).cache()
    rates = {
        row["item_kind"]: row["clicks"] / max(row["impressions"], 1.0)
        for row in totals.groupBy("item_kind").agg(F.sum("clicks").alias("clicks"), F.sum("seen").alias("impressions"))
        .collect()
    }  # fmt: skip
    lists = tables.read("item_features", night.run).select("item_kind", "item_id", "list")
    counted = [F.coalesce(F.col(name), F.lit(0.0)).alias(name) for name in COUNTS]
    frame = (
        tables.read("scores", night.run)
        .join(F.broadcast(lists), ["item_kind", "item_id"])
        .join(F.broadcast(totals.withColumnRenamed("clicks", "clicked")), ["item_kind", "item_id"], "left")
        .join(_evidence(night, lists), ["item_kind", "segment", "item_id"], "left")
        .select("item_kind", "variant", "segment", "item_id", "list", "pctr", *counted)
    )
    drawn = frame.mapInArrow(_drawer(recipe, iso_week(night.as_of), rates), schema_of("draws"))
    rows = tables.write(drawn, "draws", night.run).rows
    totals.unpersist()
    return {"rows_in": tables.read("scores", night.run).count(), "rows_out": rows, "week": iso_week(night.as_of)}


def _totals(counts: DataFrame, as_of: datetime) -> DataFrame:
    known = counts.where(F.col("period_end") <= clock(as_of))
    return known.groupBy("item_kind", "item_id").agg(exact_sum("impressions").alias("seen"), exact_sum("clicks"))


def _evidence(night: Night, lists: DataFrame) -> DataFrame:
    """(item_kind, segment, item_id) → impressions and clicks of the last days; exact for everyone, estimated from the
    sampled events for a segment."""
    parts = []
    for kind, shelf in night.recipe.shelves.items():
        since = night.as_of - timedelta(days=shelf.explore.evidence_days)
        events = night.warehouse.read("events", night.run).where(
            (F.col("item_kind") == kind)
            & F.col("kind").isin("impression", "click")
            & (F.coalesce("request_at", "ts") >= clock(since))
            & (F.coalesce("request_at", "ts") < clock(night.as_of))
        )
        weight = 1.0 / F.col("sampling_rate")
        counted = events.groupBy("user_id", "item_id").agg(
            exact_sum(F.when(F.col("kind") == "impression", weight).otherwise(0.0)).alias("impressions"),
            exact_sum(F.when(F.col("kind") == "click", weight).otherwise(0.0)).alias("clicks"),
        )
        segments = current_segments(night.warehouse.read("user_segments", night.run), night.as_of)
        by_segment = counted.join(F.broadcast(segments), "user_id").groupBy("segment", "item_id")
        parts.append(
            by_segment.agg(exact_sum("impressions"), exact_sum("clicks"))
            .join(F.broadcast(lists.where(F.col("item_kind") == kind)), "item_id", "left_semi")
            .withColumn("item_kind", F.lit(kind))
        )
        exact = night.warehouse.read("exposure_counts", night.run).where(
            (F.col("item_kind") == kind)
            & (F.col("period_start") >= clock(since))
            & (F.col("period_end") <= clock(night.as_of))
        )
        parts.append(
            exact.groupBy("item_id")
            .agg(exact_sum("impressions"), exact_sum("clicks"))
            .withColumns({"segment": F.lit("all"), "item_kind": F.lit(kind)})
        )
    result = parts[0]
    for part in parts[1:]:
        result = result.unionByName(part)
    return result


def _drawer(
    recipe: Recipe, week: str, rates: dict[str, float]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Row by row work: a draw depends on nothing but its own row and key, so partitions do not matter."""
    explore = {kind: shelf.explore for kind, shelf in recipe.shelves.items()}
    variants = {name: (variant.bandit, variant.scorer) for name, variant in recipe.variants.items()}
    names = schema_of("draws").fieldNames()

    def draw(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        known: dict[str, int] = {}
        for batch in batches:
            column = {name: batch.column(name) for name in batch.schema.names}
            items = _hashes(column["item_id"], known)
            number = {name: column[name].to_numpy(zero_copy_only=False)
                      for name in ("pctr", *COUNTS)}  # fmt: skip
            keys = ("item_kind", "variant", "segment")
            codes = [column[name].dictionary_encode() for name in keys]
            index = np.stack([code.indices.to_numpy(zero_copy_only=False) for code in codes], axis=1)
            mean, evidence, drawn = number["pctr"].copy(), np.zeros(batch.num_rows), number["pctr"].copy()
            for combination in np.unique(index, axis=0):
                rows = np.flatnonzero((index == combination).all(axis=1))
                kind, variant, segment = (
                    code.dictionary[int(c)].as_py() for code, c in zip(codes, combination, strict=True)
                )
                name, scorer = variants[variant]
                chosen = bandit(name)
                if not chosen.explores:
                    continue
                if not ((number["pctr"][rows] >= 0) & (number["pctr"][rows] <= 1)).all():
                    raise ContractBroken(f"scores of variant {variant} are no probabilities", where="table scores",
                                         hint="only variants with bandit: none may score by anything else")  # fmt: skip
                use = {name: values[rows] for name, values in number.items()}
                if scorer == "counts":
                    # Counts alone: the overall rate is the prior, and everything ever seen is evidence.
                    ever = segment == "all"
                    belief = Belief.of(
                        np.full(rows.size, min(1.0, rates.get(kind, 0.0))), explore[kind].counts_strength,
                        impressions=use["seen" if ever else "impressions"],
                        clicks=use["clicked" if ever else "clicks"],
                    )  # fmt: skip
                else:
                    belief = Belief.of(
                        use["pctr"], explore[kind].prior_strength,
                        impressions=use["impressions"], clicks=use["clicks"],
                    )  # fmt: skip
                mean[rows], evidence[rows] = belief.mean, belief.evidence
                drawn[rows] = chosen.draw(belief, draw_uniforms(week, variant, segment, items[rows]))
            yield pa.RecordBatch.from_arrays(
                [column["item_kind"], column["variant"], column["segment"], column["item_id"], column["list"],
                 column["pctr"], pa.array(mean), pa.array(evidence), column["seen"], pa.array(drawn)],
                names=names,
            )  # fmt: skip

    return draw


def _hashes(column: pa.Array, known: dict[str, int]) -> U64:
    code = column.dictionary_encode()
    names = code.dictionary.to_pylist()
    fresh = [name for name in names if name not in known]
    known.update(zip(fresh, hash_strings(fresh).tolist(), strict=True))
    values = np.array([known[name] for name in names], dtype=np.uint64)
    return np.asarray(values[code.indices.to_numpy(zero_copy_only=False)], dtype=np.uint64)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("explore", run)


if __name__ == "__main__":
    main()
