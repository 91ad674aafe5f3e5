"""What may go of a warehouse and its work folder, and away with it: old runs that nothing stands on any more.

A table goes with its manifest first; a run folder's parts are moved aside before they are removed. So nothing half
removed is ever visible, and whatever a crash leaves goes with the next run of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_ranking.publish.generation import generations, published_aliases
from segments.errors import Refused
from spark_jobs.attempts import attempts_of
from spark_jobs.hour_base import HourBase, checkpoint_before
from spark_jobs.manifests import LocalFiles
from spark_jobs.run_history import RUN, is_hour, run_folders
from spark_jobs.tables import SCHEMAS

if TYPE_CHECKING:
    from es_ranking.engine.contract import Engine
    from spark_jobs.manifests import Manifests

ASIDE = ".removed"
# People's work, which no night makes again: it stays when the run around it goes.
EXPERIMENTS = "experiments"
_LATER = "99991231T235959"
Reasons = dict[str, list[str]]


@dataclass(frozen=True)
class Fate:
    """What becomes of one run.

    Attributes:
        run: its id.
        tables: those with anything written, whole or not.
        bytes: of the tables and of what goes of the run folder.
        stays: why it stays; empty for one that goes.
    """

    run: str
    tables: tuple[str, ...]
    bytes: int
    stays: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The row `es-ranking retain` prints."""
        return {
            "run": self.run,
            "fate": "stays" if self.stays else "goes",
            "tables": len(self.tables),
            "bytes": self.bytes,
            "why": "; ".join(self.stays) or "nothing stands on it",
        }


def published_runs(engine: Engine) -> Reasons:
    """Run → which generations are of it or go on from it: whatever serves, may be rolled back to, or is being written.

    Raises:
        EngineUnreachable: nothing answers, so nobody knows what is needed.
    """
    needed: Reasons = {}
    for alias in published_aliases(engine):
        for published in generations(engine, alias):
            for run in {published.meta.run, published.meta.night or published.meta.run}:
                needed.setdefault(run, []).append(f"generation {published.generation.id}")
    return needed


def plan_retention(
    tables: Manifests, work: Path, *, keep_nights: int, keep_hours: int, published: Mapping[str, Sequence[str]] | None
) -> list[Fate]:
    """What would go and what stays, oldest run first. Changes nothing.

    Args:
        tables: the warehouse.
        work: the work folder.
        keep_nights: so many of the newest whole nights stay, and every run younger than the oldest of them.
        keep_hours: so many of the newest hourly runs stay.
        published: see `published_runs`; None: nothing is ever published from here.

    Raises:
        Refused: none of what is published is of a run in this warehouse.
    """
    written = {table: set(tables.begun(table)) for table in SCHEMAS}
    begun = set[str]().union(*written.values())
    runs = sorted({folder.name for folder in run_folders(work)} | {run for run in begun if RUN.fullmatch(run)})
    if published is not None and runs and not set(published) & set(runs):
        raise Refused(
            "no generation in the engine is of a run in this warehouse, so what it needs is not known",
            where=tables.root,
            hint="is ES_URL the engine it publishes to? --unpublished if there is none",
        )
    hours = [run for run in runs if run in written["changes"] or is_hour(work / run)]
    nights = [run for run in runs if run not in set(hours)]
    whole = [run for run in tables.runs("ranks") if run in set(nights)]
    oldest = whole[-keep_nights] if len(whole) >= keep_nights else ""
    needed: Reasons = {run: list(why) for run, why in (published or {}).items()}
    for run in nights:
        if run >= oldest:
            needed.setdefault(run, []).append(
                f"among the {keep_nights} newest nights" if run in whole else "not finished"
            )
    for run in hours[-keep_hours:] if keep_hours else ():
        needed.setdefault(run, []).append(f"among the {keep_hours} newest hours")
    _add_running(work, runs, needed)
    _add_what_hours_stand_on(work, hours, needed)
    fates = []
    for run in runs:
        held = tuple(table for table in SCHEMAS if run in written[table])
        size = sum(tables.size(table, run) for table in held) + sum(map(_size, _parts(work / run)))
        fates.append(Fate(run, held, size, tuple(needed.get(run, ()))))
    # Of a run that went before only the experiments are there, and they stay.
    return [fate for fate in fates if fate.stays or fate.tables or list(_parts(work / fate.run))]


def retain(fates: Sequence[Fate], tables: Manifests, work: Path) -> None:
    """Removes what goes. May be stopped at any moment, and run again."""
    for fate in fates:
        if fate.stays:
            continue
        for table in fate.tables:
            tables.drop(table, fate.run)
        aside = work / ASIDE / fate.run
        for part in _parts(work / fate.run):
            aside.mkdir(parents=True, exist_ok=True)
            LocalFiles().remove(str(aside / part.name))
            part.replace(aside / part.name)
        if (work / fate.run).is_dir() and not any((work / fate.run).iterdir()):
            (work / fate.run).rmdir()
    LocalFiles().remove(str(work / ASIDE))


def _add_running(work: Path, runs: Sequence[str], needed: Reasons) -> None:
    """Runs at work now, or perhaps at work on another machine, and what they began from."""
    for run in runs:
        attempts = attempts_of(work / run)
        # one that runs may have changed before another that has ended since
        told = next((one for one in attempts if one.state == "running"), attempts[-1] if attempts else None)
        if told is not None and told.state in {"running", "unknown"}:
            needed.setdefault(run, []).append(f"an attempt is {told.state} on {told.host}")
            if is_hour(work / run):
                for before in HourBase.read(work, run).serving.values():
                    needed.setdefault(before, []).append(f"hour {run} began from it")


def _add_what_hours_stand_on(work: Path, hours: Sequence[str], needed: Reasons) -> None:
    """The night of every hour that stays; and of every night that stays, the hour whose model the next one takes."""
    for run in hours:
        if run in needed and is_hour(work / run):
            night = HourBase.read(work, run).night
            needed.setdefault(night, []).append(f"hour {run} goes on from it")
    for night in [run for run in needed if run not in hours]:
        for kind in _models(work / night):
            run = checkpoint_before(work, _LATER, night, kind).relative_to(work).parts[0]
            if run != night:
                needed.setdefault(run, []).append(f"the newest {kind} model after night {night}")


def _models(folder: Path) -> Iterator[str]:
    for checkpoint in sorted((folder / "models").glob("*/checkpoint.json")):
        yield checkpoint.parent.name


def _parts(folder: Path) -> list[Path]:
    """What goes with a run's folder; the hour's base, by which it counts as one, goes first."""
    found = [part for part in folder.iterdir() if part.name != EXPERIMENTS] if folder.is_dir() else []
    return sorted(found, key=lambda part: (part.name != "hourly", part.name))


def _size(path: Path) -> int:
    return LocalFiles().size(str(path))
