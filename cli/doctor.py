"""`es-ranking doctor` and `alarm`: what is wrong here, and the cure; and only whether the ranks are too old."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from cli.output import emit, output_option, stderr
from cli.times import time_or_now
from es_ranking.doctor import Patient, examine
from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import published_aliases, serving
from es_ranking.publish.seal import mend
from segments.errors import RankingError, Refused


@click.command(name="doctor")
@click.argument("aliases", nargs=-1)
@click.option("--as-of", metavar="T", help="Count the age of the ranks to this UTC time.  [default: now]")
@click.option("--max-age-hours", default=36.0, show_default=True, help="Older serving ranks are an error.")
@click.option("--mend", "mending", is_flag=True, help="First take back settings a crashed job left on what serves.")
@output_option
def command(aliases: tuple[str, ...], as_of: str | None, max_age_hours: float, mending: bool, output: str) -> int:
    """Check versions, JDK, engine, Redis, scripts, aliases, field budget and the age of the ranks in service.

    Looks at ALIASES, or at everything es-ranking has published. Exits with 1 if any check is an error, with 5 if the
    engine does not answer.

    \b
    Example:
      es-ranking doctor
      es-ranking doctor products --as-of 2017-11-28T06:00:00+00:00 --output json
    """
    engine: Engine | None = None
    trouble: RankingError | None = None
    try:
        engine = connect()
    except RankingError as error:
        trouble = error
    names = aliases or (tuple(published_aliases(engine)) if engine else ())
    if engine and mending:
        for name in names:
            for setting in mend(engine, name):
                stderr.print(f"{name}: took back {setting}", markup=False)
    findings = examine(Patient(engine, trouble, names, time_or_now(as_of, where="--as-of"), max_age_hours))
    emit([finding.to_dict() for finding in findings], output)
    return trouble.exit_code if trouble else int(any(finding.state == "error" for finding in findings))


@click.command(name="alarm")
@click.argument("aliases", nargs=-1)
@click.option("--as-of", metavar="T", help="Count the age to this UTC time.  [default: now]")
@click.option(
    "--max-age-hours", type=click.FloatRange(min=0), default=36.0, show_default=True, help="Older is too old."
)
@output_option
def alarm(aliases: tuple[str, ...], as_of: str | None, max_age_hours: float, output: str) -> None:
    """Exit with 3 if what serves under one of ALIASES is too old, or nothing does; with 0 otherwise.

    For a scheduler or a monitor. Without ALIASES, everything es-ranking has published. The age is counted from the
    clock of the run, an hourly one or a night's.

    \b
    Example:
      es-ranking alarm products --max-age-hours 30
    """
    engine, now = connect(), time_or_now(as_of, where="--as-of")
    names = aliases or tuple(published_aliases(engine))
    rows = [_aged(engine, alias, now, max_age_hours) for alias in names]
    emit(rows, output)
    wrong = [f"{row['alias']} is {row['state']}" for row in rows if row["state"] != "ok"]
    if wrong or not rows:
        raise Refused(", ".join(wrong) or "nothing is published", where=engine.url, hint="es-ranking runs")


def _aged(engine: Engine, alias: str, now: datetime, max_age_hours: float) -> dict[str, Any]:
    found = serving(engine, alias)
    if found is None:
        return {"alias": alias, "generation": None, "as_of": None, "age_hours": None, "state": "not published"}
    age = found.meta.age_hours(now)
    return {
        "alias": alias,
        "generation": found.generation.id,
        "as_of": found.meta.as_of,
        "age_hours": round(age, 2),
        "state": "too old" if age > max_age_hours else "ok",
    }
