"""Streams documents into a generation that is being written: batches, retries of what may be retried, a ledger.

While the engine takes two batches the next is made: the engine never waits for us, and three are held at a time.

Every document has its id, so writing it twice is writing it once: a batch whose answer was lost, a retried Spark task
and a whole re-run all end in the same index.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import orjson

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable, RequestTooLarge
from es_ranking.engine.transport import json_bytes
from es_ranking.publish.settings import PublishSettings
from segments.errors import Refused

# The engine had no room, or its shard was just not there: the same document may be taken a moment later.
_RETRYABLE = frozenset({429, 502, 503, 504})
_LEDGER_ROWS = 100
# Requests under way at once: with one the engine idles while its answer travels and the next request is sent.
_UNDER_WAY = 2

Documents = Iterable[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class RefusedDocument:
    """A document the engine would not take, and why."""

    id: str
    status: int
    reason: str


@dataclass
class WriteReport:
    """What a writer did. The ledger names the first hundred refused documents, the count all of them."""

    written: int = 0
    refused: int = 0
    retried: int = 0
    seconds: float = 0.0
    ledger: list[RefusedDocument] = field(default_factory=list)

    def add(self, other: WriteReport) -> WriteReport:
        """The sum of two writers' reports (the longer time: they ran side by side)."""
        return WriteReport(
            self.written + other.written,
            self.refused + other.refused,
            self.retried + other.retried,
            max(self.seconds, other.seconds),
            (self.ledger + other.ledger)[:_LEDGER_ROWS],
        )

    def beside(self, *sides: WriteReport) -> WriteReport:
        """This one, of the documents with ranks, and those of the side indices: `written` stays, the rest is summed."""
        return replace(reduce(WriteReport.add, sides, self), written=self.written)


def write_documents(
    engine: Engine,
    target: str,
    documents: Documents,
    *,
    settings: PublishSettings,
    sleep: Callable[[float], None] = time.sleep,
) -> WriteReport:
    """Writes (id, document) pairs in batches; memory holds three: one is made while two are on their way.

    Args:
        target: the private alias of a generation being written: never an index name, see `generation`.
        documents: of different ids: two with the same id may arrive in either order.

    Raises:
        Refused: the generation was swept away by a newer publish.
        EngineBusy, EngineUnreachable: still so after all retries.
    """
    report = WriteReport()
    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=_UNDER_WAY, thread_name_prefix="bulk") as sender:
        sent: deque[Future[WriteReport]] = deque()
        for batch in _batches(target, documents, settings):
            if len(sent) == _UNDER_WAY:
                report = report.add(sent.popleft().result())
            sent.append(sender.submit(_write_batch, engine, batch, settings, sleep))
        for last in sent:
            report = report.add(last.result())
    report.seconds = time.perf_counter() - began
    return report


def _batches(target: str, documents: Documents, settings: PublishSettings) -> Iterator[list[BulkAction]]:
    batch: list[BulkAction] = []
    size, largest = 0, settings.batch_megabytes * 1e6
    for doc_id, document in documents:
        body = _encoded(document)
        if batch and (len(batch) >= settings.batch_documents or size + len(body) > largest):
            yield batch
            batch, size = [], 0
        batch.append(BulkAction(target, doc_id, body))
        size += len(body)
    if batch:
        yield batch


def _encoded(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return json_bytes(document)


def _write_batch(
    engine: Engine,
    batch: list[BulkAction],
    settings: PublishSettings,
    sleep: Callable[[float], None],
) -> WriteReport:
    report, tries = WriteReport(), 0
    while batch:
        batch, trouble = _send(engine, batch, report)
        if not batch:
            break
        if tries >= settings.max_retries:
            if isinstance(trouble, EngineUnreachable):
                raise trouble
            told = trouble.what if trouble else "the engine keeps answering that it is busy"
            raise EngineBusy(
                f"{len(batch)} documents could not be written after {tries} retries: {told}",
                where=engine.url,
                hint="give the engine more room, or lower publish.batch_documents; then run again",
            ) from trouble
        report.retried += len(batch)
        sleep(min(settings.max_backoff_seconds, settings.backoff_seconds * 2**tries))
        tries += 1
    return report


def _send(
    engine: Engine, batch: list[BulkAction], report: WriteReport
) -> tuple[list[BulkAction], EngineBusy | EngineUnreachable | None]:
    """One request. Returns what must be sent again, and the trouble that stopped the whole request if any."""
    try:
        result = engine.bulk(batch, require_alias=True)
    except RequestTooLarge as error:
        return _send_halves(engine, batch, report, error)
    except (EngineBusy, EngineUnreachable) as error:
        return batch, error
    report.written += result.done
    again = []
    trouble: EngineBusy | None = None
    for refused in result.errors:
        if refused.status in _RETRYABLE:
            again.append(batch[refused.position])
            trouble = trouble or EngineBusy(refused.reason)
        elif "require_alias" in refused.reason or "index_not_found" in refused.reason:
            raise swept(batch[refused.position].index)
        else:
            _note(report, RefusedDocument(refused.id or "", refused.status, refused.reason))
    return again, trouble


def _send_halves(
    engine: Engine, batch: list[BulkAction], report: WriteReport, error: RequestTooLarge
) -> tuple[list[BulkAction], EngineBusy | EngineUnreachable | None]:
    """The engine's own limit is below ours: halves may pass, and one document that does not is refused."""
    if len(batch) == 1:
        _note(report, RefusedDocument(batch[0].id or "", 413, error.what))
        return [], None
    middle = len(batch) // 2
    first, trouble = _send(engine, batch[:middle], report)
    second, more_trouble = _send(engine, batch[middle:], report)
    return first + second, trouble or more_trouble


def _note(report: WriteReport, refused: RefusedDocument) -> None:
    report.refused += 1
    if len(report.ledger) < _LEDGER_ROWS:
        report.ledger.append(refused)


def swept(target: str) -> Refused:
    """The error of a writer whose generation was removed under it."""
    return Refused(
        "this publish was overtaken: a newer one removed its half-written generation",
        where=target,
        hint="look at es-ranking generations; run again if this run should serve",
    )
