"""What a night keeps of its lures beside its reports: the filter's share, its rules, and the queue for operators."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segments.errors import ContractBroken, Refused
from segments.whole import write_whole
from spark_jobs.run_history import run_folders


@dataclass(frozen=True)
class LureFile:
    """One shelf of one run.

    Attributes:
        run: its id.
        index: alias that its queries use.
        judged: items.
        lures: how many the filter calls one, decisions of operators aside.
        decisions: version that was read; 0 where nothing was decided; None where the engine could not be asked.
        rules: one row a rule (`Judge.told`).
        trees: how many the classifier has grown.
        queue: the most suspicious items that nobody has decided, the worst first: `item`, `title`, `list`,
            `probability`, `judged` (clicks, or buyers, that it is judged by), `reason`.
    """

    run: str
    index: str
    judged: int
    lures: int
    decisions: int | None
    rules: list[dict[str, Any]]
    trees: int
    queue: list[dict[str, Any]]

    @property
    def share(self) -> float:
        """Of lures among the items judged."""
        return self.lures / self.judged if self.judged else 0.0

    def write(self, work: Path, kind: str) -> None:
        """Keeps it in the run's folder."""
        path = _path(work / self.run, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(self), indent=1, ensure_ascii=False))


def lures_of(work: Path, run: str, kind: str) -> LureFile | None:
    """What the run has kept; None where it has nothing.

    Raises:
        ContractBroken: the file is damaged.
    """
    return _read(_path(work / run, kind))


def newest_queue(work: Path, index: str) -> LureFile:
    """The newest run's of an index.

    Raises:
        Refused: no run has judged its items.
        ContractBroken: a file is damaged.
    """
    for folder in reversed(run_folders(work)):
        for path in sorted((folder / "lures").glob("*.json")):
            found = _read(path)
            if found is not None and found.index == index:
                return found
    raise Refused(
        f"no night here has looked for lures among the items of {index}",
        where=str(work),
        hint="name the night's own --work, or run the step filter_lures",
    )


def _path(folder: Path, kind: str) -> Path:
    return folder / "lures" / f"{kind}.json"


def _read(path: Path) -> LureFile | None:
    try:
        return LureFile(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ContractBroken(
            "the file cannot be read", where=str(path), hint="run the step filter_lures again"
        ) from error
