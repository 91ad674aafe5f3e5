"""A folder of examples: in memory where they fit, streamed from shards where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Added, Examples, columns_of, of_kind, read_examples
from spark_jobs.models.shards import make_shards
from spark_jobs.models.stream import Stream
from spark_jobs.models.training_settings import TrainingSettings


def read_before(
    folder: str,
    encoder: Encoder,
    *,
    before: int,
    settings: TrainingSettings,
    scratch: Path,
    item_kind: str | None = None,
    vectors: pa.Table | None = None,
    tasks: Sequence[str] = (),
    added: Added | None = None,
) -> Examples | Stream:
    """Examples of visits that began before a moment.

    Args:
        folder: Parquet with the columns of the `examples` contract.
        encoder: of the fields; need not be fitted.
        before: microseconds since 1970.
        settings: more rows than `memory_rows` are streamed, `block_rows` at a time.
        scratch: where shards go; the caller removes it when it has trained.
        item_kind: `product` or `banner`; None reads all.
        vectors: the `item_features` table, for its item_id and vector columns.
        tasks: further tasks; the column of each is `label_<task>`.
        added: gives a table of rows further columns that fields read.

    Raises:
        ContractBroken: a column of the contract is missing or wrong.
    """
    dataset, _ = columns_of(folder, encoder, tasks=tasks)
    if dataset.count_rows(filter=of_kind(item_kind)) <= settings.memory_rows:
        examples = read_examples(folder, encoder, item_kind=item_kind, vectors=vectors, tasks=tasks, added=added)
        return examples.where(examples.time < before)
    shards = make_shards(
        folder, scratch, encoder, rows_a_shard=settings.block_rows, before=before, item_kind=item_kind,
        vectors=vectors, tasks=tasks, added=added,
    )  # fmt: skip
    return Stream(shards)
