"""Step `score`: every item for every segment of every variant, into the `scores` table.

Variants scored by one checkpoint share one grid: each distinct segment is scored once, then written for every variant
that serves it. A variant's checkpoint is the one promoted for it (`es-ranking models promote`), else the night's own;
items of a unit (store, department) that has a promotion of its own are scored by that one.
Items are put into a fixed number of partitions by their id and scored in blocks of a fixed size, so that the numbers
are bit for bit the same however the tables before were partitioned.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segments.catalogue import Catalogue
from segments.errors import Refused
from spark_jobs.models.checkpoint import from_parts, read_parts, to_parts
from spark_jobs.models.int8_rows import as_bytes
from spark_jobs.models.scoring_settings import CHEAP, ONE_PRODUCT
from spark_jobs.past_scores import SCORERS
from spark_jobs.promoted import NONE, Promoted, Units
from spark_jobs.score_tasks import Parts, Stages, score_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_jobs.models.checkpoint import Checkpoint
    from spark_jobs.night import Night

PARTITIONS = 16


def run(night: Night) -> dict[str, object]:
    """Writes `scores`; returns rows by item kind and the pairs the grid scored.

    Raises:
        Refused: no checkpoint, no features or no catalogue for this run; a promoted checkpoint, or units, that want a
            field this run's items do not have.
        ContractBroken: a checkpoint of another schema than the recipe's.
    """
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    frames: list[DataFrame] = []
    promoted: dict[str, str] = {}
    registry = Promoted.read(night.work)
    for kind in night.recipe.shelves:
        items = _candidates(night, kind)
        column, _ = registry.units(kind)
        for (folder, units), variants in _checkpoints(night, registry, kind).items():
            if folder is not None:
                told = [f"/{column}={unit}" if unit else "" for unit in units]
                promoted |= {f"{kind}/{variant}{unit}": str(folder) for variant in variants for unit in told}
            own = _of_units(items, registry, kind, units)
            frames.append(_model_scores(night, kind, own, catalogue, variants, promoted=folder))
        for name, variant in night.recipe.variants.items():
            if variant.scorer == "model":
                continue
            scored = SCORERS[variant.scorer](night.warehouse, night.run, as_of=night.as_of, kind=kind, items=items)
            segments = [segment.id for segment in catalogue.segments_of(name)]
            frames.append(
                scored.select(
                    F.lit(kind).alias("item_kind"),
                    F.lit(name).alias("variant"),
                    F.explode(F.array(*map(F.lit, segments))).alias("segment"),
                    "item_id",
                    "pctr",
                )
            )
    scores = reduce(lambda a, b: a.unionByName(b), frames)
    manifest = night.warehouse.write(scores, "scores", night.run)
    figures: dict[str, object] = {
        "rows_out": manifest.rows,
        "segments": len(catalogue.segments),
        "variants": len(night.recipe.variants),
    }
    return {**figures, "promoted": promoted} if promoted else figures


def _candidates(night: Night, kind: str) -> DataFrame:
    """All items of a kind; in an hourly run those that have changed since the night."""
    tables = night.warehouse
    items = tables.read("item_features", night.run).where(F.col("item_kind") == kind)
    if tables.manifest("changes", night.run) is None:
        return items
    changed = tables.read("changes", night.run).select("item_kind", "item_id")
    return items.join(F.broadcast(changed), ["item_kind", "item_id"], "left_semi")


def _checkpoints(night: Night, registry: Promoted, kind: str) -> dict[tuple[Path | None, Units], list[str]]:
    """(promoted checkpoint, or None for the night's own; units whose items it scores) → the variants."""
    serving: dict[tuple[Path | None, Units], list[str]] = {}
    for name, variant in night.recipe.variants.items():
        if variant.scorer == "model":
            for part in registry.scored_by(kind, name).items():
                serving.setdefault(part, []).append(name)
    return serving


def _of_units(items: DataFrame, registry: Promoted, kind: str, wanted: Units) -> DataFrame:
    """The items of some units; None among them stands for every other item."""
    column, units = registry.units(kind)
    if not units:
        return items
    if column not in items.columns:
        raise Refused(
            f"units of {kind} are promoted by {column}, which this run's items do not have",
            where="table item_features",
            hint="es-ranking models list; es-ranking models demote --unit …",
        )
    value = F.coalesce(F.col(column).cast("string"), F.lit(NONE))
    if None not in wanted:
        return items.where(value.isin(*wanted))
    left_out = [unit for unit in units if unit not in wanted]
    return items.where(~value.isin(*left_out)) if left_out else items


def _model_scores(
    night: Night, kind: str, items: DataFrame, catalogue: Catalogue, served: list[str], *, promoted: Path | None
) -> DataFrame:
    folder = promoted or night.folder("models") / kind
    parts = read_parts(folder)
    shelf = night.recipe.shelves[kind]
    # A checkpoint of another schema is refused here, before a task meets it; a promoted one has its own fields.
    own = None if promoted else shelf.fields
    checkpoint = from_parts(*parts, schema=own, where=str(folder))
    schema = checkpoint.schema
    lacking = [field.name for field in schema.of_role("item") if field.name not in items.columns]
    if promoted and lacking:
        raise Refused(
            f"the promoted checkpoint wants fields this run's items do not have: {', '.join(lacking)}",
            where=str(folder),
            hint=f"es-ranking models demote --surface {kind}",
        )
    segments: dict[str, dict[str, str]] = {}
    serving: list[tuple[str, str]] = []
    for name in served:
        for segment in catalogue.segments_of(name):
            segments[segment.id] = dict(segment.values)
            serving.append((name, segment.id))
    stages = _stages(night, kind, checkpoint, parts)
    wanted = (
        schema.of_role("item") if stages.cheap is None else (*schema.of_role("item"), *shelf.fields.of_role("item"))
    )
    names = dict.fromkeys(field.name for field in wanted if field.name in items.columns)
    ready = (
        items.select("item_id", *(name for name in names if name != "item_id"))
        .repartition(PARTITIONS, "item_id")
        .sortWithinPartitions("item_id")
    )
    return score_frame(ready, stages, kind, segments, serving)


def _stages(night: Night, kind: str, checkpoint: Checkpoint, parts: Parts) -> Stages:
    """The checkpoint as the shelf's `scoring` wants it, the cheap one's parts before it if a cascade is asked for."""
    shelf = night.recipe.shelves[kind]
    if shelf.scoring.rows == "int8":
        parts = to_parts(as_bytes(checkpoint))
    cascade = shelf.scoring.cascade
    # An hour's few changed items have no top of a list among them, and a promoted model of one product needs no other.
    hourly = night.warehouse.manifest("changes", night.run) is not None
    if cascade is None or hourly or checkpoint.settings.kind in ONE_PRODUCT:
        return Stages(parts)
    folder = night.folder("models") / kind / CHEAP
    cheap = read_parts(folder)
    from_parts(*cheap, schema=shelf.fields, where=str(folder))
    return Stages(parts, cheap, cascade.top, cascade.lists)


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("score", run)


if __name__ == "__main__":
    main()
