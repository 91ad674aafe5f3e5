"""Spark writes a generation: every partition streams its documents, and sends home what became of them.

Writing is idempotent (documents have ids), so a retried task and a re-run end in the same index. The engine travels
as its configuration and connects again in the worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from es_ranking.publish.documents import WHY_COLUMNS, main_document, user_document, why_document
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.switch import abort
from es_ranking.publish.write import Documents, RefusedDocument, WriteReport, write_documents
from segments.errors import RankingError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from es_ranking.engine.contract import Engine
    from es_ranking.publish.plan import PublishPlan

Maker = Callable[["pa.RecordBatch"], Documents]


def write_frame(
    frame: DataFrame, make: Maker, *, engine: Engine, target: str, settings: PublishSettings
) -> WriteReport:
    """Writes one document a row of the frame, partition by partition.

    Args:
        make: (id, document) pairs of a batch; one of the makers below.
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


def write_parts(
    parts: Sequence[tuple[DataFrame, Maker, str]], *, engine: Engine, settings: PublishSettings
) -> WriteReport:
    """Writes several (frame, make, target), each as `write_frame` does; the last is the one with the ranks.

    Returns:
        What the parts' writers say together, see `WriteReport.beside`.
    """
    *sides, report = (
        write_frame(frame, make, engine=engine, target=to, settings=settings) for frame, make, to in parts
    )
    return report.beside(*sides)


@contextmanager
def aborting(engine: Engine, plan: PublishPlan) -> Iterator[None]:
    """Removes the half-written generation when what is done inside fails.

    Raises:
        RankingError: what was raised inside; anything else comes as one that names the cause.
        EngineUnreachable: the engine does not answer any more.
    """
    try:
        yield
    except RankingError:
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
            item["attributes"] = dict(item["attributes"] or ())
            document = main_document(item, scores, list_name=item["list"], keyword_attributes=keyword_attributes)
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
