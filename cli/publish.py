"""`es-ranking publish`: a generation from a folder of rows, from one machine and without Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from cli.output import emit, output_option
from es_ranking.engine.connect import connect
from es_ranking.publish.documents import main_document, user_document, why_document
from es_ranking.publish.generation import clock_of
from es_ranking.publish.locally import publish
from es_ranking.publish.plan import plan_publish
from es_ranking.publish.settings import PublishSettings
from es_ranking.scripts.store import put_scripts
from segments.catalogue import Catalogue
from segments.errors import ContractBroken, UsageError

Rows = Iterator[dict[str, Any]]


@click.command(name="publish")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--alias", required=True, help="Name the queries use; the generation goes behind it.")
@click.option("--run", required=True, help="Id of the run that made the ranks, such as 20171127T000000.")
@click.option("--default-variant", required=True, help="Variant that `recommended` points at.")
@click.option(
    "--settings", type=click.Path(path_type=Path), help="YAML of publish settings (gates, batches, retention)."
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@output_option
def command(
    folder: Path, alias: str, run: str, default_variant: str, settings: Path | None, dry_run: bool, output: str
) -> None:
    """Publish the ranks in FOLDER as a new generation of ALIAS, and switch to it at once or not at all.

    FOLDER holds catalogue.json and tables of rows: items, ranks and (optional) user_segments, each a .jsonl or
    .parquet file or a folder of .parquet files, with the columns of the tables of the same name.

    \b
    Example:
      es-ranking publish export/ --alias products --run 20171127T000000 --default-variant B2 --dry-run
      es-ranking publish export/ --alias products --run 20171127T000000 --default-variant B2
    """
    chosen = PublishSettings.read(settings) if settings else PublishSettings()
    catalogue = Catalogue.load(folder / "catalogue.json")
    lists, scores, reasons = _ranks(folder, places=chosen.why_places)
    users = _users(folder)
    engine = connect()
    plan = plan_publish(
        engine,
        alias,
        run=run,
        as_of=clock_of(run),
        catalogue=catalogue,
        default_variant=default_variant,
        documents=sum(1 for row in _rows(folder, "items") if row.get("item_id") in scores),
        users=len(users),
        settings=chosen,
    )
    if dry_run:
        emit(plan.summary(), output)
        return
    put_scripts(engine)
    documents = (
        (item["item_id"], main_document(item, scores[item["item_id"]], list_name=lists[item["item_id"]],
                                        keyword_attributes=chosen.keyword_attributes))
        for item in _rows(folder, "items")
        if item.get("item_id") in scores
    )  # fmt: skip
    told = ((item_id, document) for item_id, rows in reasons.items()
            if (document := why_document(rows, places=chosen.why_places)) is not None)  # fmt: skip
    finished = publish(engine, plan, documents=documents, reasons=told, settings=chosen,
                       users=((user, user_document(families)) for user, families in users.items()))  # fmt: skip
    emit(finished.to_dict(), output)


def _ranks(
    folder: Path, *, places: int
) -> tuple[dict[str, str], dict[str, dict[str, dict[str, float]]], dict[str, list[Mapping[str, Any]]]]:
    lists: dict[str, str] = {}
    scores: dict[str, dict[str, dict[str, float]]] = {}
    reasons: dict[str, list[Mapping[str, Any]]] = {}
    for row in _rows(folder, "ranks"):
        try:
            item = row["item_id"]
            scores.setdefault(item, {}).setdefault(row["variant"], {})[row["segment"]] = float(row["final"])
            lists[item] = row["list"]
            if int(row["rank"]) <= places:
                reasons.setdefault(item, []).append(row)
        except (KeyError, TypeError, ValueError) as error:
            raise ContractBroken(f"a row of ranks is not one: {error!r}", where=str(folder)) from error
    return lists, scores, reasons


def _users(folder: Path) -> dict[str, dict[str, str]]:
    users: dict[str, dict[str, str]] = {}
    if _file(folder, "user_segments") is not None:
        for row in _rows(folder, "user_segments"):
            try:
                users.setdefault(row["user_id"], {})[row["family"]] = row["segment"]
            except KeyError as error:
                raise ContractBroken(f"a row of user_segments lacks {error}", where=str(folder)) from error
    return users


def _rows(folder: Path, table: str) -> Rows:
    file = _file(folder, table)
    if file is None:
        raise UsageError(f"the folder has no {table}.jsonl and no {table}.parquet", where=str(folder))
    if file.suffix == ".jsonl":
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ContractBroken(f"line {number} is not JSON: {error}", where=str(file)) from error
                if not isinstance(row, dict):
                    raise ContractBroken(f"line {number} is not an object", where=str(file))
                yield row
        return
    from pyarrow import dataset

    for batch in dataset.dataset(file, format="parquet").to_batches():
        yield from batch.to_pylist()


def _file(folder: Path, table: str) -> Path | None:
    choices = (folder / f"{table}.jsonl", folder / f"{table}.parquet", folder / table)
    return next((choice for choice in choices if choice.exists()), None)
