"""All that a trial needs of a run, read once: it holds no Spark, so that it can be sent to other processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray
from pyspark.sql import functions as F

from segments.catalogue import Catalogue
from segments.errors import Refused, UsageError
from spark_jobs.fields import FieldSchema
from spark_jobs.outcome_arrays import Outcomes, read_outcomes
from spark_jobs.past_scores import SCORERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_jobs.night import Night

NEEDS = {
    "ingest": ("events", "items", "exposure_counts"),
    "fit_segments": ("user_segments",),
    "build_examples": ("examples", "item_features"),
    "outcomes": ("visits", "list_items", "visit_clicks"),
}


@dataclass(frozen=True)
class Arena:
    """A run's shelf, where trials are trained and judged.

    Attributes:
        run: the run's id.
        shelf: kind of item.
        clock: microseconds since 1970; nothing at or after it is learnt from.
        valid_from: microseconds since 1970 where validation begins.
        examples, item_features: folders of Parquet.
        outcomes: what happened after the clock.
        catalogue: the run's segments.
        served: variants that a model scores.
        default_variant: the one people look at first.
        sales: scores (1, items) of the variants that past sales rank.
        seed: of the resamples, the recipe's whatever a trial's: two trials then have the same, and are paired.
    """

    run: str
    shelf: str
    clock: int
    valid_from: int
    examples: str
    item_features: str
    outcomes: Outcomes
    catalogue: Catalogue
    served: tuple[str, ...]
    default_variant: str
    sales: dict[str, NDArray[np.float64]]
    seed: int

    @classmethod
    def of(cls, night: Night, shelf: str, *, schemas: Iterable[FieldSchema]) -> Self:
        """Reads a shelf of a run.

        Args:
            night: the run; its tables of the steps `ingest` to `build_examples`, and of `outcomes`, must be there.
            shelf: kind of item.
            schemas: the fields that trials will want; checked before anything is read.

        Raises:
            Refused: a table of the run is missing; the steps to run are named.
            UsageError: a field that the run's tables do not have.
        """
        check_tables(night)
        tables, run = night.warehouse, night.run
        examples, features = tables.folder("examples", run), tables.folder("item_features", run)
        for schema in schemas:
            check_fields(schema, examples=examples, item_features=features)
        outcomes = read_outcomes(tables, run, as_of=night.as_of, kind=shelf)
        candidates = tables.read("item_features", run).where(F.col("item_kind") == shelf)
        sales = {}
        for name, variant in night.recipe.variants.items():
            if variant.scorer == "sales":
                scored = SCORERS["sales"](tables, run, as_of=night.as_of, kind=shelf, items=candidates).toArrow()
                scores = scored.column("pctr").to_numpy()[None, :]
                sales[name] = placed(outcomes, scored.column("item_id").to_pylist(), scores)
        served = tuple(name for name, variant in night.recipe.variants.items() if variant.scorer == "model")
        default = night.recipe.default_variant
        return cls(
            run=run,
            shelf=shelf,
            clock=night.clock,
            valid_from=night.valid_from,
            examples=examples,
            item_features=features,
            outcomes=outcomes,
            catalogue=Catalogue.load(_catalogue(night)),
            served=served,
            default_variant=default if default in served else served[-1] if served else default,
            sales=sales,
            seed=night.recipe.shelves[shelf].training.seed,
        )


def check_tables(night: Night, steps: Sequence[str] = tuple(NEEDS)) -> None:
    """Refuses a run that lacks a table of these steps, and names the steps to run."""
    missing = {
        step: [table for table in NEEDS[step] if night.warehouse.manifest(table, night.run) is None] for step in steps
    }
    if "fit_segments" in steps and not _catalogue(night).is_file():
        missing["fit_segments"].append("the catalogue of segments")
    wanted = [step for step in missing if missing[step]]
    if wanted:
        raise Refused(
            f"run {night.run} lacks {', '.join(name for step in wanted for name in missing[step])}",
            where=night.root,
            hint="run the steps that write them: es-ranking nightly run "
            + " ".join(f"--step {step}" for step in wanted)
            + " with this --source, --run-date, --warehouse and --work",
        )


def check_fields(schema: FieldSchema, *, examples: str, item_features: str) -> None:
    """A field without a column would be read as neutral, and the trial would not be what its file says."""
    columns = {
        table: set(ds.dataset(folder.removeprefix("file:")).schema.names)
        for table, folder in (("examples", examples), ("item_features", item_features))
    }
    for field in schema.fields:
        tables = ["examples"] if field.kind != "vector" else []
        tables += ["item_features"] if field.role == "item" else []
        for table in tables:
            if field.name not in columns[table]:
                raise UsageError.unknown("field", field.name, columns[table], where=f"table {table}")


def placed(outcomes: Outcomes, item_ids: list[str], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of some items (segments, n) as scores of the outcomes' items, -inf where there is none."""
    grid = np.full((len(scores), outcomes.items.size), -np.inf)
    grid[:, np.searchsorted(outcomes.items, np.array(item_ids, dtype=str))] = scores
    return grid


def _catalogue(night: Night) -> Path:
    return night.work / night.run / "segments" / "catalogue.json"
