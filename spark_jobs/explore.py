"""Step 6: draws tonight's number of every scored item, from what the model says and what its segment has done since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from segments.errors import ContractBroken
from segments.hashing import U64, hash_strings
from spark_jobs.bandits.contract import Belief
from spark_jobs.bandits.keys import draw_uniforms, iso_week
from spark_jobs.bandits.linear import hashed_features, linear_belief
from spark_jobs.bandits.registry import bandit
from spark_jobs.history import clock, current_segments, exact_sum
from spark_jobs.tables import names_of, schema_of

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from spark_jobs.bandits.settings import ExploreSettings
    from spark_jobs.night import Night
    from spark_jobs.recipe import Recipe

COUNTS = ("seen", "clicked", "impressions", "clicks")
DAY = 86_400


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
    features = tables.read("item_features", night.run)
    lists = features.select("item_kind", "item_id", "list")
    told = _told(recipe)
    counted = [F.coalesce(F.col(name), F.lit(0.0)).alias(name) for name in COUNTS]
    frame = (
        tables.read("scores", night.run)
        .join(F.broadcast(features.select("item_kind", "item_id", "list", *told)), ["item_kind", "item_id"])
        .join(F.broadcast(totals.withColumnRenamed("clicks", "clicked")), ["item_kind", "item_id"], "left")
        .join(_evidence(night, lists), ["item_kind", "segment", "item_id"], "left")
        .select("item_kind", "variant", "segment", "item_id", "list", "pctr", *counted, *told)
    )
    drawn = frame.groupBy("item_kind", "variant", "segment").applyInArrow(
        drawer(recipe, iso_week(night.as_of), rates, told), schema_of("draws")
    )
    rows = tables.write(drawn, "draws", night.run).rows
    totals.unpersist()
    return {"rows_in": tables.read("scores", night.run).count(), "rows_out": rows, "week": iso_week(night.as_of)}


def _told(recipe: Recipe) -> tuple[str, ...]:
    """The item columns that linear beliefs are made of; the item's own id tells nothing of its likes."""
    names: dict[str, None] = {}
    for shelf in recipe.shelves.values():
        if any(bandit(variant.bandit, shelf.explore).linear for variant in recipe.variants.values()):
            fields = shelf.fields.of_kind("categorical")
            names |= dict.fromkeys(field.name for field in fields if field.role == "item" and field.name != "item")
    return tuple(names)


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
        age = F.unix_micros(clock(night.as_of)) / 1e6 - F.unix_micros(F.coalesce("request_at", "ts")) / 1e6
        weight = _faded(age, shelf.explore) / F.col("sampling_rate")
        # Chapelle, KDD 2014; Vernade, Cappé and Perchet, UAI 2017: a fresh impression may yet be clicked.
        delay = 3600.0 * shelf.explore.click_delay_hours
        settled = weight * (1.0 - F.exp(-age / delay)) if delay else weight
        if shelf.explore.position_decay:
            settled = settled * F.pow(F.coalesce("position", F.lit(1)), -shelf.explore.position_decay)
        counted = events.groupBy("user_id", "item_id").agg(
            exact_sum(F.when(F.col("kind") == "impression", settled).otherwise(0.0)).alias("impressions"),
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
        since_then = F.unix_micros(clock(night.as_of)) / 1e6 - F.unix_micros("period_end") / 1e6
        faded = _faded(since_then, shelf.explore)
        parts.append(
            exact.withColumns({name: F.col(name) * faded for name in ("impressions", "clicks")})
            .groupBy("item_id")
            .agg(exact_sum("impressions"), exact_sum("clicks"))
            .withColumns({"segment": F.lit("all"), "item_kind": F.lit(kind)})
        )
    result = parts[0]
    for part in parts[1:]:
        result = result.unionByName(part)
    return result


def _faded(age: Column, explore: ExploreSettings) -> Column:
    """What an event of an age in seconds still weighs. By whole days: a day later everything weighs so much less."""
    if explore.half_life_days is None:
        return F.lit(1.0)
    return F.pow(F.lit(0.5), F.floor(age / DAY) / explore.half_life_days)


def drawer(recipe: Recipe, week: str, rates: dict[str, float], told: tuple[str, ...]) -> Callable[[pa.Table], pa.Table]:
    """What draws one (kind, variant, segment): rows of `scores` with their item's list and counts → rows of `draws`.

    Rows are put in the order of their ids, so that nothing depends on how they came.

    Args:
        recipe: of the night.
        week: ISO week that the draws are keyed by.
        rates: overall click rate by item kind, the prior where counts alone score.
        told: item columns that linear beliefs are made of.
    """
    explore = {kind: shelf.explore for kind, shelf in recipe.shelves.items()}
    variants = {name: (variant.bandit, variant.scorer) for name, variant in recipe.variants.items()}
    names = names_of("draws")

    def draw(rows: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = rows.take(pc.sort_indices(rows, sort_keys=[("item_id", "ascending")])).combine_chunks()
        kind, variant, segment = (rows[name][0].as_py() for name in ("item_kind", "variant", "segment"))
        name, scorer = variants[variant]
        settings = explore[kind]
        chosen = bandit(name, settings)
        number = {key: rows[key].to_numpy() for key in ("pctr", *COUNTS)}
        mean, evidence, drawn = number["pctr"], np.zeros(rows.num_rows), number["pctr"]
        if chosen.explores:
            if not ((mean >= 0) & (mean <= 1)).all():
                raise ContractBroken(f"scores of variant {variant} are no probabilities", where="table scores",
                                     hint="only variants with bandit: none may score by anything else")  # fmt: skip
            # Counts alone: the overall rate is the prior, and everything ever seen is evidence.
            counts = scorer == "counts"
            prior = np.full(mean.size, min(1.0, rates.get(kind, 0.0))) if counts else mean
            strength = settings.counts_strength if counts else settings.prior_strength
            ever = counts and segment == "all"
            seen, clicks = number["seen" if ever else "impressions"], number["clicked" if ever else "clicks"]
            if chosen.linear and told:
                features = hashed_features([_hashes(rows[column]) for column in told], settings.feature_width)
                belief = linear_belief(
                    prior, strength, impressions=seen, clicks=clicks, features=features, shared=settings.shared
                )
            else:
                belief = Belief.of(prior, strength, impressions=seen, clicks=clicks)
            lists = rows["list"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
            uniform = draw_uniforms(week, variant, segment, hash_strings(rows["item_id"].to_pylist()))
            mean, evidence = belief.mean, belief.evidence
            drawn = chosen.draw(belief, uniform, lists=lists)
        return pa.table(
            [rows["item_kind"], rows["variant"], rows["segment"], rows["item_id"], rows["list"], rows["pctr"],
             pa.array(mean), pa.array(evidence), rows["seen"], pa.array(drawn)],
            names=names,
        )  # fmt: skip

    return draw


def _hashes(column: pa.ChunkedArray) -> U64:
    code = column.combine_chunks().dictionary_encode()
    values = hash_strings(code.dictionary.to_pylist())
    rows = code.indices.fill_null(0).to_numpy(zero_copy_only=False)
    # An empty value is one like any other.
    missing = np.asarray(code.indices.is_null())
    return np.where(missing, np.uint64(0), values[rows] if values.size else np.uint64(0)).astype(np.uint64)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("explore", run)


if __name__ == "__main__":
    main()
