"""`es-ranking experiment`: who gets which variant, live ratios, and what came of it."""

from __future__ import annotations

import click

from cli.experiment_ratios import document_of, store_of
from cli.experiment_ratios import group as ratios
from cli.output import emit, output_option
from segments.errors import UsageError


@click.group(name="experiment")
def group() -> None:
    """A/B tests: buckets, live ratios with a kill switch, reports."""


group.add_command(ratios)


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
    document = Experiments.read(file) if file is not None else document_of(store_of(str(index)))
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
