"""`es-ranking bench`: what this machine does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.models_run import night_of, run_options
from cli.output import emit, output_option, stderr
from spark_jobs.models.registry import MODELS

if TYPE_CHECKING:
    from es_ranking.engine.contract import Engine


@click.group("bench")
def group() -> None:
    """Measure this machine.

    \b
    Example:
      es-ranking bench scoring --items 100000 --segments 50 --model deepfm
      es-ranking bench cascade --source complete-journey --run-date 2017-11-27 --top 1000
      es-ranking bench publish --docs 100000 --segments 24
      es-ranking bench query --docs 100000
    """


@group.command("scoring")
@click.option("--items", default=100_000, show_default=True, help="Items to score.")
@click.option("--segments", default=50, show_default=True, help="Segments to score each item for.")
@click.option("--model", default="deepfm", show_default=True, help=f"{', '.join(MODELS)}.")
@click.option("--hidden", help="Widths of the deep part, such as 400,400,400.")
@click.option("--threads", default=0, help="Threads; 0 leaves torch's choice.")
@click.option("--rows", type=click.Choice(["float32", "int8"]), default="float32", show_default=True,
              help="How the embedding table is held; int8: bytes with a scale a row.")  # fmt: skip
@output_option
def scoring(items: int, segments: int, model: str, hidden: str | None, threads: int, rows: str, output: str) -> None:
    """Pairs a second of the grid, beside the machine's best matrix product of the same run.

    \b
    Example:
      es-ranking bench scoring --items 200000 --segments 100 --model deepfm --hidden 400,400,400 --output json
    """
    from segments.errors import UsageError
    from spark_jobs.models.scoring_bench import bench_scoring

    try:
        widths = None if hidden is None else tuple(int(width) for width in hidden.split(","))
    except ValueError as error:
        raise UsageError(f"not a list of widths: {hidden!r}", hint="--hidden 400,400,400") from error
    figures = bench_scoring(items=items, segments=segments, model=model, hidden=widths, threads=threads, rows=rows)
    emit(figures, output)


@group.command("cascade")
@click.option("--shelf", default="product", show_default=True, metavar="K", help="product or banner.")
@click.option("--model", default="fm", show_default=True, help="Cheap model: logistic, fm, fwfm or two_tower.")
@click.option("--top", "tops", type=click.IntRange(min=1), multiple=True, default=(100, 1000, 10_000),
              show_default=True, help="Items of each segment's list that go on (repeat).")  # fmt: skip
@click.option("--lists", metavar="FIELD", help="Item field whose values are lists of their own, such as category.")
@run_options
@output_option
def cascade(
    shelf: str, model: str, tops: tuple[int, ...], lists: str | None, recipe: str, output: str, **run: Any
) -> None:
    """What lighter scoring costs and saves on a run: rows of bytes, and a cascade by how many items go on.

    The run's own model of step train is the measure. Each way is judged by the visits after the clock (gauc, ndcg@20)
    and by how far its heads agree with the whole model's (overlap, and order: NDCG with its probabilities as gains).

    \b
    Example:
      es-ranking bench cascade --source complete-journey --run-date 2017-11-27 --top 1000 --lists category
    """
    from spark_jobs.cascade_bench import measure
    from spark_jobs.models.scoring_settings import CascadeSettings

    settings = CascadeSettings.of({"model": {"kind": model}, "top": tops[0], "lists": lists}, where="cascade")
    with stderr.status("starting") as status:
        night = night_of("cascade", recipe, **run)
        rows = measure(night, shelf, settings, tops=tops, on_stage=lambda stage: status.update(f"{stage} …"))
    emit(rows, output, title=f"lighter scoring of {shelf}")


@group.command("publish")
@click.option("--docs", type=click.IntRange(min=100), default=100_000, show_default=True, help="Items to publish.")
@click.option("--segments", type=click.IntRange(min=1), default=24, show_default=True, help="Rank fields of each.")
@output_option
def publish(docs: int, segments: int, output: str) -> None:
    """Publishing of generated items, beside the engine's own bulk rate with bodies made before.

    A whole generation, then one in which a tenth of the items changed; both take turns with the engine's bulk of the
    same documents. ES_URL names the engine, else the embedded one is used (started and stopped if it does not run).
    The indices are named es-ranking-bench-… and removed in the end.

    \b
    Example:
      es-ranking bench publish --docs 1000000 --segments 24 --output json
    """
    from es_ranking.bench.publishing import bench_publish

    with _measured_engine() as engine, stderr.status("starting") as status:
        figures = bench_publish(
            engine, docs=docs, segments=segments, on_stage=lambda stage: status.update(f"{stage} …")
        )
    emit(figures, output)


@group.command("query")
@click.option("--docs", type=click.IntRange(min=100), default=100_000, show_default=True, help="Items to publish.")
@click.option("--segments", type=click.IntRange(min=1), default=24, show_default=True, help="Rank fields of each.")
@click.option("--blocks", type=click.IntRange(min=10), default=40, show_default=True, help="Turns of each way.")
@output_option
def query(docs: int, segments: int, blocks: int, output: str) -> None:
    """A page of 40 in every way, beside the same page plainly sorted by price.

    Generated items are published first. Ways take turns; ratios are medians over the blocks. ES_URL names the engine,
    else the embedded one is used (started and stopped if it does not run). The indices are named es-ranking-bench-…
    and removed in the end.

    \b
    Example:
      es-ranking bench query --docs 1000000 --output json
    """
    from es_ranking.bench.querying import bench_query

    with _measured_engine() as engine, stderr.status("starting") as status:
        figures = bench_query(
            engine, docs=docs, segments=segments, blocks=blocks, on_stage=lambda stage: status.update(f"{stage} …")
        )
    if output == "json":
        emit(figures, output)
        return
    rows = [
        {"case": case, "way": way, **times, "to plain": figures["ratios"].get(f"{way}_{case}", 1.0)}
        for case, ways in figures["cases"].items()
        for way, times in ways.items()
    ]
    emit(rows, output, title=f"pages of 40 among {docs} documents")


@contextmanager
def _measured_engine() -> Iterator[Engine]:
    """The engine, for as long as it is measured; a polite kill goes through the cleaning up like any other end."""
    from es_ranking.engine.connect import connect
    from es_ranking.engine.dev import dev_servers

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with dev_servers(heap="1g"):
            engine = connect()
            try:
                yield engine
            finally:
                engine.close()
    finally:
        signal.signal(signal.SIGTERM, before)
