"""`es-ranking models list | promote | demote`: which checkpoint serves which variant, surface and unit."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.models_run import work_option
from cli.output import emit, output_option

surface_option = click.option("--surface", type=click.Choice(["product", "banner"]), default="product",
                              show_default=True, help="Whose lists it ranks.")  # fmt: skip
variant_option = click.option("--variant", default="*", show_default=True, metavar="V",
                              help="A/B variant; * is every one without a promotion of its own.")  # fmt: skip
unit_option = click.option("--unit", default="", metavar="COLUMN=VALUE",
                           help="A store's or department's items alone; without it the whole surface.")  # fmt: skip
note_option = click.option("--note", default="", metavar="TEXT", help="Why, for the history.")


@click.command("list")
@work_option
@click.option("--history", is_flag=True, help="Everything that was promoted and demoted, oldest first.")
@output_option
def listed(work: str, history: bool, output: str) -> None:
    """Lists what is promoted; a variant that is not listed is served by what its night has trained.

    A line with a unit is of that store's or department's items alone.

    \b
    Example:
      es-ranking models list
      es-ranking models list --history --output json
    """
    from spark_jobs.promoted import Promoted

    registry = Promoted.read(Path(work))
    if history and output == "table":
        keys = ("at", "did", "surface", "variant", "note")
        emit([{**{key: line[key] for key in keys}, **_short(line["serving"])} for line in registry.history], output)
        return
    rows = registry.history if history else [asdict(one) for one in registry.serving]
    emit(rows, output, title="promoted" if rows else "nothing is promoted: each night serves what it has trained")


@click.command("promote")
@click.argument("checkpoint", type=click.Path(exists=True, file_okay=False, path_type=Path))
@surface_option
@variant_option
@unit_option
@note_option
@work_option
@output_option
def promote(checkpoint: Path, surface: str, variant: str, unit: str, note: str, work: str, output: str) -> None:
    """Lets CHECKPOINT (a folder with checkpoint.json) serve from the next step `score` on.

    It is copied: training that runs later does not change what was promoted. Checkpoints of units are made, and
    promoted, by `es-ranking models choose --promote`.

    \b
    Example:
      es-ranking models promote runs/20171127T000000/experiments/two_tower/seed-7 --variant B2
    """
    from spark_jobs.promoted import Promoted

    registry = Promoted.read(Path(work))
    made = registry.promote(checkpoint, surface=surface, variant=variant, unit=unit, at=now(), note=note)
    emit(asdict(made), output)


@click.command("demote")
@surface_option
@variant_option
@unit_option
@note_option
@work_option
@output_option
def demote(surface: str, variant: str, unit: str, note: str, work: str, output: str) -> None:
    """Takes back the last promotion: what served before it serves again, at last the night's own checkpoint.

    \b
    Example:
      es-ranking models demote --variant B2 --note "clicks fell"
    """
    from spark_jobs.promoted import Promoted

    before = Promoted.read(Path(work)).demote(surface=surface, variant=variant, unit=unit, at=now(), note=note)
    serving = asdict(before) if before else "the night's own" if not unit else "what serves the whole surface"
    emit({"surface": surface, "variant": variant, "unit": unit, "serving": serving}, output)


def _short(serving: dict[str, str]) -> dict[str, str]:
    return {key: serving.get(key, "") for key in ("unit", "model", "checkpoint")}


def now() -> str:
    """The wall clock, for the history: people promote, jobs do not."""
    return datetime.now(UTC).isoformat(timespec="seconds")
