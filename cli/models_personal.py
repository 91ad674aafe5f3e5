"""`es-ranking models personal`: from how many clicks on is a list of one's own better than the segment's?"""

from __future__ import annotations

from typing import Any

import click

from cli.models_run import night_of, run_options
from cli.output import emit, output_option, stderr


@click.command("personal")
@click.option("--shelf", default="product", show_default=True, metavar="K", help="product or banner.")
@click.option("--depth", type=click.IntRange(min=2), help="Hits that are sorted again; without it the default.")
@click.option("--strength", type=click.FloatRange(min=0), help="Clicks' worth of the middle; without it the default.")
@click.option("--weight", type=click.FloatRange(min=0, min_open=True), help="Of the taste; without it the default.")
@run_options
@output_option
def personal(
    shelf: str, depth: int | None, strength: float | None, weight: float | None, recipe: str, output: str, **run: Any
) -> None:
    """Measure the personal re-sort on the visits after the clock, by amount of history.

    The run needs its item vectors (step `embed`, `personal:` in the recipe's shelf), scores and outcomes. `threshold`
    is the least history from which on every interval of the difference in NDCG lies above zero: a surface's `least`.

    \b
    Example:
      es-ranking models personal --source shop.yaml --run-date 2026-02-16 --output json
    """
    from es_ranking.twiddlers.personal import PersonalSettings
    from spark_jobs.personal_worth import run as measured

    given = {"depth": depth, "strength": strength, "weight": weight}
    settings = PersonalSettings.of({name: value for name, value in given.items() if value is not None})
    with stderr.status("starting") as status:
        report = measured(
            night_of("personal", recipe, **run), settings, kind=shelf, on_stage=lambda s: status.update(f"{s} …")
        )
    if output == "json":
        emit(report, output)
        return
    told = report["threshold"]
    pays = "no amount of history pays" if told is None else f"pays from {told} clicks on"
    emit([_row(amount, report["cut"]) for amount in report["amounts"]], output, title=f"run {report['run']}: {pays}")


def _row(amount: dict[str, Any], cut: int) -> dict[str, Any]:
    ndcg = amount[f"ndcg@{cut}"]
    row = {name: amount[name] for name in ("clicks", "people", "visits")}
    row |= {"segment": ndcg["segment"], "personal": ndcg["personal"]}
    for name in (f"ndcg@{cut}", f"recall@{cut}", "gauc"):
        gap, low, high = (amount[name][key] for key in ("difference", "low", "high"))
        row[name] = None if low is None else f"{gap:+.4f} [{low:+.4f}, {high:+.4f}]"
    return {**row, "ms": amount["milliseconds"]}
