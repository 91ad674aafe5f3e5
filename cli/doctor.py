"""`es-ranking doctor`: what is wrong here, and the cure."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from cli.output import emit, output_option
from es_ranking.doctor import Patient, examine
from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import published_aliases
from segments.errors import RankingError, UsageError


@click.command(name="doctor")
@click.argument("aliases", nargs=-1)
@click.option("--as-of", metavar="T", help="Count the age of the ranks to this UTC time.  [default: now]")
@click.option("--max-age-hours", default=36.0, show_default=True, help="Older serving ranks are an error.")
@output_option
def command(aliases: tuple[str, ...], as_of: str | None, max_age_hours: float, output: str) -> int:
    """Check versions, JDK, engine, Redis, scripts, aliases, field budget and the age of the ranks in service.

    Looks at ALIASES, or at everything es-ranking has published. Exits with 1 if any check is an error, with 5 if the
    engine does not answer.

    \b
    Example:
      es-ranking doctor
      es-ranking doctor products --as-of 2017-11-28T06:00:00+00:00 --output json
    """
    engine: Engine | None = None
    trouble, unreachable = "", 0
    try:
        engine = connect()
    except RankingError as error:
        trouble, unreachable = error.what, error.exit_code
    names = aliases or (tuple(published_aliases(engine)) if engine else ())
    findings = examine(Patient(engine, trouble, names, _clock(as_of), max_age_hours))
    emit([finding.to_dict() for finding in findings], output)
    return unreachable or int(any(finding.state == "error" for finding in findings))


def _clock(as_of: str | None) -> datetime:
    if as_of is None:
        return datetime.now(UTC)
    try:
        clock = datetime.fromisoformat(as_of)
    except ValueError as error:
        raise UsageError(f"not a time: {as_of!r}", hint="2017-11-28T06:00:00+00:00") from error
    return clock.replace(tzinfo=UTC) if clock.tzinfo is None else clock
