"""The history of a work folder: which runs there were, how each ended, and what it made; for people and scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from spark_jobs.attempts import Attempt, attempts_of
from spark_jobs.hour_base import FILE as HOUR

RUN = re.compile(r"\d{8}T\d{6}")


def run_folders(work: Path) -> list[Path]:
    """The folders of runs, oldest clock first; nothing else in a work folder is named like one."""
    found = work.iterdir() if work.is_dir() else ()
    return sorted(folder for folder in found if RUN.fullmatch(folder.name) and folder.is_dir())


def is_hour(folder: Path) -> bool:
    """Whether the run goes on from a night."""
    return (folder / HOUR).is_file()


def history(work: Path) -> list[dict[str, Any]]:
    """One row a run that was attempted, oldest clock first, told by its last attempt.

    Returns:
        `run`; `kind` (`hourly`, `nightly`, or `steps` where only some were ever run); `outcome` (`finished`, `failed`,
        `interrupted`, `killed`, `running`, `unknown`); `step` it ended or is in, empty if finished; `seconds`;
        `changed` (UTC, of its record); `events` and `ranks` (rows, None where not written); `generations` it has
        published; `attempts`, how many; `exit_code` and `error` of a failed one.
    """
    return [_row(folder, attempts) for folder in run_folders(work) if (attempts := attempts_of(folder))]


def _row(folder: Path, attempts: list[Attempt]) -> dict[str, Any]:
    last = attempts[-1]
    begun = {step for attempt in attempts for step in attempt.steps}
    # A night that takes an hour's clock leaves the hour's reports there.
    hour = is_hour(folder)
    read = _report(folder, "catch_up") if hour else _report(folder, "ingest").get("rows_out", {})
    ranked = _report(folder, "filter_lures")
    return {
        "run": folder.name,
        "kind": "hourly" if hour else "nightly" if "ingest" in begun else "steps",
        "outcome": last.state,
        "step": last.step,
        "seconds": last.seconds,
        "changed": last.changed,
        "events": read.get("events"),
        "ranks": ranked.get("rows_out"),
        "generations": _published(folder),
        "attempts": len(attempts),
        "exit_code": last.exit_code,
        "error": last.error,
    }


def _published(folder: Path) -> list[str]:
    """An hour in which nothing changed names the generation of another run: it has published none."""
    told = [*_report(folder, "publish").values(), *_report(folder, "publish_changes").values()]
    named = (str(kind["generation"]) for kind in told if isinstance(kind, dict) and "generation" in kind)
    return sorted(name for name in named if f"-{folder.name.lower()}-" in name)


def _report(folder: Path, step: str) -> dict[str, Any]:
    try:
        values = json.loads((folder / "steps" / f"{step}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
