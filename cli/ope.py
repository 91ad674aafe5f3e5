"""`es-ranking ope`: what a policy would have earned, from a log with propensities."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import emit, output_option, stderr


@click.command("ope")
@click.option("--log", required=True, type=click.Path(exists=True, path_type=Path),
              help="CSV or Parquet: request_id, item, position, reward, propensity; also run, segment.")  # fmt: skip
@click.option("--policy", required=True, type=click.Path(exists=True, path_type=Path),
              help="CSV or Parquet: request_id, item, position, probability; of a place they sum to 1.")  # fmt: skip
@click.option("--context", multiple=True, metavar="COLUMN",
              help="Column of the log that the reward model tells apart, beside segment (repeat).")  # fmt: skip
@click.option("--embedding", multiple=True, metavar="COLUMN",
              help="Column of the log that says of what kind an item is, for mips (repeat).")  # fmt: skip
@click.option("--unsupported", type=click.FloatRange(0, 1), default=0.01, show_default=True,
              help="Most of the policy's probability on items the log never shows there.")  # fmt: skip
@click.option("--draws", type=click.IntRange(min=100), default=1000, show_default=True, help="Bootstrap resamples.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the resamples.")
@output_option
def command(
    log: Path, policy: Path, context: tuple[str, ...], embedding: tuple[str, ...], unsupported: float, draws: int,
    seed: int, output: str,
) -> None:  # fmt: skip
    """Estimates what POLICY would have earned per request, from a log that another policy served.

    A log of one position is judged slot by slot, one of several as lists (sum of the rewards). Intervals are 95 %, from
    a bootstrap over (run, segment). Refused (exit 3): an empty log, no reward at all, fewer than 30 clusters, or a
    policy that goes where the log has never been. Broken files are exit 4.

    \b
    Example:
      es-ranking ope --log log.parquet --policy policy.parquet --output json
      es-ranking ope --log log.csv --policy policy.csv --context department
    """
    from spark_jobs.ope import evaluate

    report = evaluate(
        log, policy, context=context, embedding=embedding, unsupported=unsupported, draws=draws, seed=seed
    )
    if output == "json":
        emit(report, output)
        return
    logged = {"estimator": "(log itself)", **report["logged"]}
    rows = [logged, *({"estimator": name, **each} for name, each in report["estimators"].items())]
    for row in rows[1:]:
        gain = row.pop("gain")
        row["gain"] = f"{gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
    emit(rows, output, title=f"reward per request, {report['requests']} requests, {report['clusters']} clusters")
    for warning in report["warnings"]:
        stderr.print(f"warning: {warning}")
