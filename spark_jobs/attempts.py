"""What became of every attempt of a run: kept while it runs, so that one that was killed has left it too.

An attempt is a small JSON file in the run's folder, replaced whole whenever something changes. No job reads the wall
time: when an attempt ended is the file's own time of change. An attempt that says it runs, and whose process is gone,
was killed.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from es_ranking.engine.state import born
from segments.errors import RankingError
from segments.whole import write_whole

FOLDER = "attempts"
_ERROR_CHARACTERS = 500


@dataclass
class Attempt:
    """One attempt of a run.

    Attributes:
        steps: what was asked for, in order.
        recipe: the recipe's name.
        pid: its process; with `host` and `born` (when that process began) it is told from every other one.
        done: steps that are done.
        step: the one it is in, or failed in.
        outcome: `running`, `finished`, `failed` or `interrupted`; see `state`.
        error: one line, of a failed one.
        exit_code: as the command line ends with it; None while it runs.
        seconds: from its beginning to the last change.
        changed: UTC time of the last change, from the file.
    """

    steps: list[str]
    recipe: str
    pid: int
    born: str
    host: str
    done: list[str] = field(default_factory=list)
    step: str = ""
    outcome: str = "running"
    error: str = ""
    exit_code: int | None = None
    seconds: float = 0.0
    changed: str = ""

    @property
    def state(self) -> str:
        """The outcome; `killed` for one that runs no more, `unknown` for one that may run on another machine."""
        if self.outcome != "running":
            return self.outcome
        if self.host != socket.gethostname():
            return "unknown"
        return "running" if born(self.pid) == self.born else "killed"

    def to_dict(self) -> dict[str, Any]:
        """The row `es-ranking runs RUN` prints."""
        own = {"steps": self.steps, "done": self.done, "step": self.step, "outcome": self.state}
        return {**own, "seconds": self.seconds, "changed": self.changed, "recipe": self.recipe,
                "exit_code": self.exit_code, "error": self.error}  # fmt: skip


class Recorder:
    """Within a `with`, keeps one attempt's file up to date; what is done inside leaves its outcome however it ends.

    Args:
        folder: the run's.
        steps: what was asked for, in order.
        recipe: the recipe's name.
    """

    def __init__(self, folder: Path, steps: Sequence[str], recipe: str) -> None:
        self.attempt = Attempt(list(steps), recipe, os.getpid(), born(os.getpid()) or "", socket.gethostname())
        self._began = time.perf_counter()
        self._path = folder / FOLDER / f"{uuid.uuid4().hex[:12]}.json"

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._ended()
        else:
            self._failed(error)

    def begins(self, step: str) -> None:
        """The step before is done, this one is being worked on."""
        self._step_done()
        self.attempt.step = step
        self._write()

    def _ended(self) -> None:
        self._step_done()
        self.attempt.outcome, self.attempt.exit_code = "finished", 0
        self._write()

    def _failed(self, error: BaseException) -> None:
        stopped = isinstance(error, KeyboardInterrupt)
        code = error.exit_code if isinstance(error, RankingError) else 130 if stopped else 1
        self.attempt.outcome, self.attempt.exit_code = "interrupted" if stopped else "failed", code
        self.attempt.error = _one_line(error)
        try:
            self._write()
        except OSError as trouble:  # must not be told instead of the error itself
            logging.getLogger("es_ranking.night").warning("the failure could not be recorded: %s", trouble)

    def _step_done(self) -> None:
        if self.attempt.step:
            self.attempt.done.append(self.attempt.step)
        self.attempt.step = ""

    def _write(self) -> None:
        self.attempt.seconds = round(time.perf_counter() - self._began, 2)
        kept = {key: value for key, value in asdict(self.attempt).items() if key != "changed"}
        write_whole(self._path, json.dumps(kept, indent=1))


def attempts_of(folder: Path) -> list[Attempt]:
    """The attempts of a run's folder, the one that changed last at the end; a file that is not one is left out."""
    found = []
    for path in (folder / FOLDER).glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            changed = path.stat().st_mtime
            attempt = Attempt(**json.loads(path.read_text(encoding="utf-8")))
            attempt.changed = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
            found.append((changed, attempt))
    return [attempt for _, attempt in sorted(found, key=lambda pair: pair[0])]


def _one_line(error: BaseException) -> str:
    if isinstance(error, RankingError):
        return str(error)
    text = str(error).strip().partition("\n")[0][:_ERROR_CHARACTERS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
