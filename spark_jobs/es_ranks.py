"""Spark writes a generation: every partition streams its documents, and sends home what became of them.

Writing is idempotent (documents have ids), so a retried task and a re-run end in the same index. The engine travels
as its configuration and connects again in the worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from es_ranking.publish.begin import abort, begin
from es_ranking.publish.delta import delete_documents
from es_ranking.publish.documents import WHY_COLUMNS, main_document, user_document, why_document
from es_ranking.publish.finish import Finished, finish
from es_ranking.publish.generation import WRITING
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.write import Documents, RefusedDocument, WriteReport, write_documents
from segments.errors import RankingError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from es_ranking.engine.contract import Engine
    from es_ranking.publish.plan import PublishPlan

Maker = Callable[["pa.RecordBatch"], Documents]


@dataclass(frozen=True)
class Part:
    """What one index of a generation holds.

    Attributes:
        rows: one row a document.
        make: the documents of rows; one of the makers below.
        key: the column with the document's id.
        moved: of an index that begins as a copy, (id, what): `removed` ones are taken away first, then `added` and
            `changed` ones are written; None: all rows are.
    """

    rows: DataFrame
    make: Maker
    key: str = "item_id"
    moved: DataFrame | None = None

    def gone(self) -> list[str]:
        """Ids to take away."""
        return [] if self.moved is None else [row["id"] for row in self.moved.where("what = 'removed'").collect()]

    def due(self) -> DataFrame:
        """Rows to write."""
        if self.moved is None:
            return self.rows
        put = self.moved.where("what IN ('added', 'changed')")
        return self.rows.join(put, self.rows[self.key] == put["id"], "left_semi")


def write_generation(
    engine: Engine,
    plan: PublishPlan,
    parts: Mapping[str, Part],
    *,
    settings: PublishSettings,
    figures: Mapping[str, float] | None = None,
) -> Finished:
    """Executes the plan: begins, writes, checks and switches; whatever goes wrong, the previous generation serves on.

    Args:
        parts: alias → what its index must hold, in the order of writing; one that is left out stays as it was copied.
        figures: what the night knows for the gates.

    Raises:
        Refused: a gate said no, counts do not reconcile, or a newer publish came first; the half generation is gone.
        RankingError: see `aborting`.
    """
    begin(engine, plan)
    with aborting(engine, plan):
        reports = {}
        for alias, part in parts.items():
            target = plan.indices[alias] + WRITING
            delete_documents(engine, target, part.gone(), settings=settings)
            reports[alias] = write_frame(part.due(), part.make, engine=engine, target=target, settings=settings)
        report = reports.pop(plan.alias).beside(*reports.values())
        return finish(engine, plan, settings, report=report, figures=figures)


def write_frame(
    frame: DataFrame, make: Maker, *, engine: Engine, target: str, settings: PublishSettings
) -> WriteReport:
    """Writes one document a row of the frame, partition by partition.

    Args:
        make: (id, document) pairs of a batch.
        target: the private alias of the generation being written.

    Raises:
        RankingError: what the first failing writer raised; Spark has retried it as often as it is set to.
    """
    chosen = settings.model_dump()

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as arrow

        documents = (pair for batch in batches for pair in make(batch))
        report = write_documents(engine, target, documents, settings=PublishSettings.of(chosen))
        yield arrow.RecordBatch.from_pydict({"report": [json.dumps(asdict(report))]})

    total = WriteReport()
    for row in frame.mapInArrow(write, "report STRING").collect():
        values = json.loads(row["report"])
        ledger = [RefusedDocument(**entry) for entry in values.pop("ledger")]
        total = total.add(WriteReport(**values, ledger=ledger))
    return total


@contextmanager
def aborting(engine: Engine, plan: PublishPlan) -> Iterator[None]:
    """Removes the half-written generation when what is done inside fails.

    Raises:
        RankingError: what was raised inside; anything else comes as one that names the cause.
        EngineUnreachable: the engine does not answer any more.
    """
    try:
        yield
    except (RankingError, KeyboardInterrupt):
        abort(engine, plan)
        raise
    except Exception as error:
        # A writer failed in its worker: the engine itself says whether it still answers (exit code 5) or not.
        engine.info()
        abort(engine, plan)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        cause = next((line for line in reversed(lines) if "Error" in line or "errors." in line), lines[0])
        raise RankingError(f"writing {plan.generation} failed: {cause.strip()}", where=engine.url) from error


def main_documents(keyword_attributes: tuple[str, ...]) -> Maker:
    """Rows of items with `list` and `ranks` (array of variant, segment, final) → documents with rank fields."""

    def make(batch: pa.RecordBatch) -> Documents:
        ranks = batch.column("ranks")
        starts = ranks.offsets.to_pylist()
        values = ranks.values
        variant, segment = (_words(values.field(name)) for name in ("variant", "segment"))
        final = values.field("final").to_pylist()
        items = batch.drop_columns(["ranks"]).to_pylist()
        for item, start, end in zip(items, starts, starts[1:], strict=False):
            scores: dict[str, dict[str, float]] = {}
            for place in range(start, end):
                scores.setdefault(variant[place], {})[segment[place]] = final[place]
            # A map column comes as pairs.
            item["attributes"] = dict(item.get("attributes") or ())
            document = main_document(item, scores, list_name=item.get("list"), keyword_attributes=keyword_attributes)
            yield item["item_id"], document

    return make


def why_documents(places: int) -> Maker:
    """Rows of item_id and `reasons` (array of rank rows) → documents that say why."""

    def make(batch: pa.RecordBatch) -> Documents:
        for row in batch.to_pylist():
            document = why_document(row["reasons"], places=places)
            if document:
                yield row["item_id"], document

    return make


def user_documents(batch: pa.RecordBatch) -> Documents:
    """Rows of user_id and `segments` (array of family, segment) → one document a user."""
    for row in batch.to_pylist():
        yield row["user_id"], user_document({pair["family"]: pair["segment"] for pair in row["segments"]})


WHY_STRUCT = ("variant", "segment", *WHY_COLUMNS)


def _words(column: pa.Array) -> list[Any]:
    """A string column as Python strings, each distinct one made once."""
    code = column.dictionary_encode()
    words = code.dictionary.to_pylist()
    return [words[index] for index in code.indices.to_pylist()]
