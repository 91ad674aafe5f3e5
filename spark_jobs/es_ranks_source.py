"""Anybody's ranks, from any Spark job: `frame.write.format("es_ranks")` publishes a frame as a generation.

    spark.dataSource.register(EsRanks)
    (frame.write.format("es_ranks").mode("overwrite")
        .option("alias", "products").option("run", "20171127T000000")
        .option("default_variant", "B").option("catalogue", "catalogue.json").save())

Begun on the driver, written by the tasks, switched to by the driver's commit; whatever fails, the driver removes what
was written and the previous generation serves on. https://spark.apache.org/docs/latest/api/python/tutorial/sql/python_data_source.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

from pydantic import Field as Setting
from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, WriterCommitMessage

from es_ranking.engine.connect import connect
from es_ranking.publish.begin import abort, begin
from es_ranking.publish.finish import counted, finish
from es_ranking.publish.generation import WRITING, clock_of, serving, users_alias
from es_ranking.publish.plan import plan_publish
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.write import WriteReport, write_documents
from es_ranking.scripts.store import put_scripts
from segments.catalogue import Catalogue
from segments.config import Settings
from segments.errors import ContractBroken, UsageError
from spark_jobs.es_ranks import main_documents

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

REQUIRED = ("item_id", "ranks")
COLUMNS = {
    "item_id": "string",
    "kind": "string",
    "title": "string",
    "text": "string",
    "brand_id": "string",
    "category": "array<string>",
    "price": "double",
    "created_at": "timestamp",
    "available": "boolean",
    "store_id": "string",
    "attributes": "map<string,string>",
    "list": "string",
    "ranks": "array<struct<variant:string,segment:string,final:double>>",
}
"""What a frame may have: columns of the table `items`, the list, and the item's ranks. No Spark can be asked here."""


class RanksOptions(Settings):
    """The options of the format. Paths are the driver's."""

    alias: str = Setting(description="name the queries use; the generation goes behind it")
    run: str = Setting(description="id of the run that made the ranks, such as 20171127T000000")
    default_variant: str = Setting(description="variant that `recommended` points at")
    catalogue: str = Setting(description="JSON file of the segments and variants that are ranked")
    settings: str | None = Setting(default=None, description="YAML file of publish settings")
    url: str | None = Setting(default=None, description="the engine; not given: ES_URL, else the embedded node")


@dataclass
class Written(WriterCommitMessage):
    """What one task wrote."""

    report: WriteReport


class EsRanks(DataSource):
    """The format `es_ranks`, for writing only. Give it to `spark.dataSource.register` once a session."""

    @classmethod
    def name(cls) -> str:
        return "es_ranks"

    def writer(self, schema: StructType, overwrite: bool) -> RanksWriter:
        """Begins the generation.

        Raises:
            UsageError: another mode than overwrite, or an option is wrong.
            ContractBroken: the columns are not those of `COLUMNS`.
            Refused: see `plan_publish`.
        """
        if not overwrite:
            raise UsageError("a generation is written whole, nothing is added to one", hint='write.mode("overwrite")')
        _check(schema)
        return RanksWriter(RanksOptions.of(dict(self.options), where="options of es_ranks"))


class RanksWriter(DataSourceArrowWriter):
    """One generation being written; Spark carries it to the tasks and back to the driver."""

    def __init__(self, options: RanksOptions) -> None:
        self.settings = PublishSettings.read(options.settings) if options.settings else PublishSettings()
        self.engine = connect(options.url, opaque_id=f"es-ranking-{options.run}")
        put_scripts(self.engine)
        now = serving(self.engine, options.alias)
        plan = plan_publish(
            self.engine,
            options.alias,
            run=options.run,
            as_of=clock_of(options.run),
            catalogue=Catalogue.load(options.catalogue),
            default_variant=options.default_variant,
            # For the estimate of disk and time only: rows are counted as they are written.
            documents=now.meta.documents if now else 1,
            users=self.engine.count(now.generation.users_index) if now else 0,
            settings=self.settings,
        )
        users = users_alias(options.alias)
        # Ranks say nothing of who is in which segment: that stays as it serves.
        self.plan = replace(plan, clones={users: now.generation.indices[users]}) if now else plan
        begin(self.engine, self.plan)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """One task's rows. Documents have ids: a task that is tried again writes the same ones."""
        make = main_documents(self.settings.keyword_attributes)
        documents = (pair for batch in iterator for pair in make(batch))
        target = self.plan.generation + WRITING
        return Written(write_documents(self.engine, target, documents, settings=self.settings))

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Counts, gates, switch.

        Raises:
            Refused: an item is in several rows, the engine refused documents, a gate said no, or somebody was faster.
        """
        reports = (message.report for message in messages if isinstance(message, Written))
        report = reduce(WriteReport.add, reports, WriteReport())
        plan = counted(self.engine, self.plan, report.written + report.refused)
        finish(self.engine, plan, self.settings, report=report)

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Removes the half-written generation."""
        abort(self.engine, self.plan)


def _check(schema: StructType) -> None:
    have = {field.name: field.dataType.simpleString() for field in schema.fields}
    wrong = [f"{name} is missing" for name in REQUIRED if name not in have]
    wrong += [
        f"{name} is {kind}, not {COLUMNS[name]}" for name, kind in have.items() if COLUMNS.get(name, kind) != kind
    ]
    wrong += [
        f"{name} is unknown (what queries filter by goes into attributes)" for name in sorted(have.keys() - COLUMNS)
    ]
    if wrong:
        raise ContractBroken(f"these are no rows of ranks: {'; '.join(wrong)}", hint=f"columns: {', '.join(COLUMNS)}")
