"""`es-ranking demo`: the whole main job on a real retailer's year, and a look at what changed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.output import emit, output_option, stderr

RECIPE = "complete-journey"
RUN_DATE = "2017-11-27"
VARIANT_KEYS = ("gauc", "auc", "hit_ratio@20", "recall@20", "ndcg@20", "coverage", "entropy")


@click.command(name="demo")
@click.option("--folder", default="demo-output", show_default=True, help="Where tables, checkpoints and the report go.")
@click.option(
    "--keep/--stop", default=False, show_default=True, help="Leave Elasticsearch and Redis running afterwards."
)
@output_option
def command(folder: str, keep: bool, output: str) -> None:
    """Run everything on The Complete Journey: events to a sorted page.

    Scores what the retailer showed in week 49 from weeks 1 to 48, publishes it to a real Elasticsearch, sorts pages by
    it, and judges it by what 2,469 households did in weeks 49 to 53. ES_URL and REDIS_URL name servers to use instead
    of the embedded ones.

    \b
    Example:
      es-ranking demo
      es-ranking demo --output json > demo.json
      es-ranking demo --keep && es-ranking search products --query '{"match": {"text": "soup"}}' --user 2375 --explain
    """
    from es_ranking.engine.dev import dev_servers

    root = Path(folder).resolve()
    with dev_servers(heap="1g", keep=keep):
        told, shown = _run(root)
    if output == "json":
        emit(told, "json")
        return
    _show(told, shown)


def _run(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from spark_jobs.night import Night, parse_clock
    from spark_jobs.nightly import JUDGE, NIGHTLY, SHOW, run_night
    from spark_jobs.recipe import load_recipe
    from spark_jobs.session import spark_session

    began = time.perf_counter()
    steps = (*NIGHTLY, *JUDGE, *SHOW)
    night = Night(spark_session("es-ranking demo"), load_recipe(RECIPE), parse_clock(RUN_DATE, None),
                  str(root / "warehouse"), root / "runs")  # fmt: skip
    words = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    columns = (SpinnerColumn(), *words, TimeElapsedColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("starting", total=len(steps))
        done = iter(range(len(steps)))

        def on_step(name: str) -> None:
            progress.update(task, description=name, completed=next(done))

        figures = run_night(night, steps, on_step=on_step)
        progress.update(task, description="done", completed=len(steps))
    night.spark.stop()
    shown = json.loads((night.folder("report") / "showcase.json").read_text(encoding="utf-8"))
    judged = json.loads((night.folder("evaluation") / "metrics.json").read_text(encoding="utf-8"))["kinds"]
    return _told(figures, judged, total=time.perf_counter() - began), shown


def _told(figures: dict[str, Any], judged: dict[str, Any], *, total: float) -> dict[str, Any]:
    """The keys scripts rely on (documented in README)."""
    products = judged["product"]["metrics"]
    metrics = {
        name: {key: values.get(key) for key in VARIANT_KEYS} | {"intervals": values["intervals"]}
        for name, values in products.items()
    }
    published = figures["publish"]["product"]
    return {
        "dataset": RECIPE,
        # Before the clock (what was learnt from) and after it (what judges), each counted exactly.
        "impressions": figures["ingest"]["exact_impressions"]["product"] + judged["product"]["impressions"],
        "clicks": figures["ingest"]["exact_clicks"]["product"] + judged["product"]["clicks"],
        "segments": figures["fit_segments"]["segments"],
        "items": published["documents"],
        "rank_docs": sum(kind["documents"] for kind in figures["publish"].values() if isinstance(kind, dict)),
        "generation": published["generation"],
        "metrics": metrics,
        "lift_over_A": {
            name: values["differences"]["A"] for name, values in products.items() if "A" in values["differences"]
        },
        "minus_B0": {
            name: values["differences"]["B0"] for name, values in products.items() if "B0" in values["differences"]
        },
        "banners": {
            "documents": figures["publish"].get("banner", {}).get("documents"),
            "generation": figures["publish"].get("banner", {}).get("generation"),
            "metrics": {name: {key: values.get(key) for key in VARIANT_KEYS}
                        for name, values in judged.get("banner", {}).get("metrics", {}).items()},
        },
        "calibration": {
            "validation": {key: figures["train"]["product"].get(key) for key in ("mean_ratio", "ece", "logloss")},
            "test": judged["product"].get("calibration"),
        },
        "seconds": {**{name: values["seconds"] for name, values in figures.items()}, "total": round(total, 1)},
        "peak_memory_mb": max(values["peak_memory_mb"] for values in figures.values()),
        "report": figures["report"]["report"],
    }  # fmt: skip


def _show(told: dict[str, Any], shown: dict[str, Any]) -> None:
    console = Console(highlight=False)
    lists, page, banners = shown["lists"], shown["page"], shown["banners"]
    emit(_columns(lists["columns"]), "table", title=f"{lists['list']}: by sales, and by recommended for three segments")
    console.print()
    emit(
        [
            {"place": row["place"], "before": _name(page["before"], place), "after": _name(page["after"], place),
             "why": "; ".join(f"{m['stage']} {m['from']} → {m['to']}: {m['reason']}" for m in row["moves"])}
            for place, row in enumerate(page["after"])
        ],
        "table",
        title=f"user {page['user']} ({page['segment']}): the page before and after downrank and interval"
        + "".join(f", {flag}" for flag in page["flags"]),
    )  # fmt: skip
    console.print()
    if banners:
        emit(_columns(banners["columns"]), "table", title="banners")
        console.print()
    emit(
        [{"variant": name, **{key: values[key] for key in VARIANT_KEYS}} for name, values in told["metrics"].items()],
        "table",
        title="weeks 49 to 53, positions neutral",
    )
    console.print()
    facts = ("impressions", "clicks", "segments", "items", "rank_docs", "generation", "peak_memory_mb", "report")
    emit({key: told[key] for key in facts} | {"seconds": told["seconds"]["total"]}, "table")


def _columns(columns: dict[str, Any]) -> list[dict[str, Any]]:
    length = max(len(rows) for rows in columns.values())
    return [
        {"place": place + 1, **{name: _name(rows, place) for name, rows in columns.items()}} for place in range(length)
    ]


def _name(rows: list[dict[str, Any]], place: int) -> str:
    return f"{rows[place]['title']} ({rows[place]['item_id']})" if place < len(rows) else ""
