"""`es-ranking experiment`: who gets which variant, live ratios, and what came of it."""

from __future__ import annotations

from pathlib import Path

import click

from cli.experiment_interleaving import interleaving
from cli.experiment_logs import log_options
from cli.experiment_ratios import document_of, experiments_of
from cli.experiment_ratios import group as ratios
from cli.output import emit, output_option, stderr
from segments.errors import UsageError


@click.group(name="experiment")
def group() -> None:
    """A/B tests: buckets, live ratios with a kill switch, reports."""


group.add_command(ratios)
group.add_command(interleaving)


@group.command(name="assign")
@click.argument("user")
@click.option("--index", metavar="INDEX", help="By the experiments in force there.")
@click.option("--file", type=click.Path(dir_okay=False), metavar="FILE",
              help="By a document (YAML or JSON, as `ratios show` prints it), without an engine.")  # fmt: skip
@click.option("--surface", default="search", show_default=True, metavar="NAME", help="Where the list stands.")
@click.option("--request", metavar="R", help="Id of the request, for experiments that cut by request.")
@output_option
def assign(user: str, index: str | None, file: str | None, surface: str, request: str | None, output: str) -> None:
    """Show which experiment and variant USER gets.

    \b
    Example:
      es-ranking experiment assign 2375 --index products --surface category
    """
    from es_ranking.experiments.document import Experiments
    from segments.assign import slot_of

    if (index is None) == (file is None):
        raise UsageError("where are the experiments?", where="--index, --file", hint="give one of them")
    document = Experiments.read(file) if file is not None else document_of(experiments_of(str(index)))
    got = document.bucket(surface, user=user, request=request)
    experiment = document.named(got.experiment) if got is not None and got.experiment is not None else None
    unit = user if experiment is None or experiment.unit == "user" else request
    told = {
        "user": user,
        "surface": surface,
        "experiment": got.experiment if got is not None else None,
        "variant": got.variant if got is not None else None,
        "slot": slot_of(str(unit), salt=experiment.salt) if experiment is not None and unit is not None else None,
        "epoch": got.epoch if experiment is not None and got is not None else None,
        "share": got.share if got is not None else None,
        "forced": got is not None and got.forced,
    }
    emit(told, output)


@group.command(name="report")
@log_options
@click.option("--control", default="A", show_default=True, metavar="V", help="The variant compared with.")
@click.option("--unit", type=click.Choice(["user", "request"]), default="user", show_default=True,
              help="What the experiment puts into slots.")  # fmt: skip
@click.option("--items", type=click.Path(exists=True, path_type=Path),
              help="JSON lines or Parquet: item_id, brand_id for brand diversity, margin for margins.")  # fmt: skip
@click.option("--candidates", type=click.IntRange(min=1), metavar="N",
              help="Items that could be shown; those that were otherwise.")  # fmt: skip
@click.option("--before-days", type=click.IntRange(min=0), default=14, show_default=True,
              help="Days before the test whose clicks and sales narrow the intervals (CUPED).")  # fmt: skip
@click.option("--draws", type=click.IntRange(min=0), default=0, show_default=True,
              help="Resamples of users, for intervals that trust no formula.")  # fmt: skip
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the dashboard there, too: one page without other files.")  # fmt: skip
@click.option("--figures", metavar="INDEX", help="Write the figures into this index, too: for Kibana.")
@output_option
def report(
    exposures: Path, events: Path, experiment: str, control: str, unit: str, items: Path | None,
    candidates: int | None, scale: float, before_days: int, window_days: int, draws: int, html: Path | None,
    figures: str | None, output: str,
) -> None:  # fmt: skip
    """Tell what came of an experiment: every metric against the control, over all, by segment and by day.

    Refused (exit 3): no exposure of the experiment, one variant alone. Broken logs are exit 4.

    \b
    Example:
      es-ranking experiment report --exposures shown.jsonl --events /data/events --experiment ranking
      es-ranking experiment report --exposures shown/ --events events/ --experiment ranking --html report.html
    """
    from spark_jobs.ab_report import report as told_by

    told = told_by(
        exposures, events, experiment, control=control, unit=unit, items=items, scale=scale,
        before_days=before_days, window_days=window_days, candidates=candidates, draws=draws,
    )  # fmt: skip
    if html is not None:
        from spark_jobs.reporting.ab_page import write_ab_page

        stderr.print(f"dashboard: {write_ab_page(html, told)}", style="dim", markup=False)
    if figures is not None:
        from es_ranking.engine.connect import connect
        from es_ranking.experiments.figures import write_figures

        stderr.print(f"{write_figures(connect(), figures, told)} figures in {figures}", style="dim", markup=False)
    if output == "json":
        emit(told, output)
        return
    rows = [
        {
            "metric": metric,
            "variant": variant,
            "control": found["control"],
            "value": found["value"],
            "relative": _relative(found["relative"]),
            "p": found["p_holm"],
            "always_valid_p": found["always_valid_p_holm"],
        }
        for metric, variants in told["metrics"].items()
        for variant, found in variants.items()
        if found["control"] or found["value"]
    ]
    split = "sound" if told["sample_ratio"]["sound"] else "NOT SOUND"
    emit(rows, output, title=f"{experiment} {told['from']} to {told['to']}, against {control}; the split is {split}")
    emit([{"variant": name, **totals} for name, totals in told["variants"].items()], output)
    for warning in told["warnings"]:
        stderr.print(f"warning: {warning}", style="yellow", markup=False)


@group.command(name="power")
@click.option("--mean", required=True, type=float, help="Of the metric per user, in the time of the test.")
@click.option("--deviation", required=True, type=float, help="Standard deviation of the same.")
@click.option("--effect", required=True, type=float, metavar="E", help="Relative effect to be found, such as 0.05.")
@click.option("--control", type=float, default=0.5, show_default=True, help="Share of the control.")
@click.option("--variant", type=float, default=0.5, show_default=True, help="Share of the variant.")
@click.option("--variants", type=click.IntRange(min=1), default=1, show_default=True,
              help="Variants compared with the control, for the correction.")  # fmt: skip
@click.option("--power", "wanted", type=float, default=0.8, show_default=True, help="Probability of finding it.")
@click.option("--users", "given", type=click.IntRange(min=2), metavar="N", help="What so many users find, instead.")
@click.option("--daily", type=click.IntRange(min=1), metavar="USERS", help="New users a day: tells the days.")
@output_option
def power(
    mean: float, deviation: float, effect: float, control: float, variant: float, variants: int, wanted: float,
    given: int | None, daily: int | None, output: str,
) -> None:  # fmt: skip
    """Tell how many users a test needs to find an effect, and for how many days.

    \b
    Example:
      es-ranking experiment power --mean 1.2 --deviation 2.9 --effect 0.03 --daily 20000
    """
    from spark_jobs.evaluation.ab.power import Plan

    plan = Plan(mean, deviation, effect, control, variant, alpha=0.05 / variants)
    users = given or plan.users(wanted)
    days = None if daily is None else -(-users // daily)
    emit(
        {"users": users, "days": days, "power": plan.power(users), "detectable": plan.detectable(users, wanted)}, output
    )


def _relative(found: dict[str, float] | None) -> str | None:
    return None if found is None else f"{found['value']:+.2%} [{found['low']:+.2%}, {found['high']:+.2%}]"
