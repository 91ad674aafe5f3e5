"""The event log: JSON lines in a folder that the source `files` reads, whole files only, each event once.

Lines go to a hidden file (`.events-….jsonl`, which readers of folders pass over) that gets its name when it is old or
long enough. An event id is remembered in a small SQLite file beside the log, so that what a client sends again is not
written again, by this process or another of the same folder. A process holds a lock on its hidden file; whoever starts
next finishes the files of those that died. Nothing is lost by a kill; a power cut may take the last moments.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from threading import Lock
from uuid import uuid4

from es_ranking.serve.events import Event
from segments.errors import EngineUnreachable, UsageError

log = logging.getLogger(__name__)
SEEN = ".seen.sqlite"


class EventLogUnavailable(EngineUnreachable):
    """The log cannot be written (disk full, folder gone). Nothing of the batch was; sending it again is safe."""


class EventLog:
    """One folder's log.

    Args:
        folder: made if missing.
        roll_seconds, roll_bytes: a file gets its name when it is that old or that long.
        remember: how long an event id is known.
        clock: seconds, never going back.

    Raises:
        UsageError: the folder cannot be used.
    """

    def __init__(
        self, folder: str | Path, *, roll_seconds: float = 300.0, roll_bytes: int = 64 << 20,
        remember: timedelta = timedelta(days=7), clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        self.roll_seconds, self.roll_bytes, self.remember = roll_seconds, roll_bytes, remember
        self._clock = clock
        self._lock = Lock()
        self._open: FileIO | None = None
        self._path = self.folder
        self._since = 0.0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._seen = sqlite3.connect(
                self.folder / SEEN, timeout=2.0, isolation_level=None, check_same_thread=False
            )  # fmt: skip
            self._seen.execute("PRAGMA journal_mode = WAL")
            self._seen.execute("PRAGMA synchronous = NORMAL")
            self._seen.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at REAL) WITHOUT ROWID")
            self._finish_orphans()
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"the folder of events cannot be used: {error}", where=str(folder)) from error

    def write(self, batch: Sequence[Event]) -> int:
        """Writes those that are new; returns how many.

        Raises:
            EventLogUnavailable: none was written.
        """
        with self._lock:
            try:
                return self._write(batch)
            except (OSError, sqlite3.Error) as error:
                raise EventLogUnavailable(f"events cannot be written: {error}", where=str(self.folder)) from error

    def _write(self, batch: Sequence[Event]) -> int:
        at = datetime.now(UTC).timestamp()
        self._seen.execute("BEGIN IMMEDIATE")
        length = None
        try:
            new = [event for event in batch if self._first_time(event.event_id, at)]
            if new:
                file = self._opened()
                length = file.tell()
                lines = "".join(f"{event.line()}\n" for event in new).encode()
                while lines:
                    lines = lines[file.write(lines) :]
            self._seen.execute("COMMIT")
        except BaseException:
            # the lines and the memory of them go together
            if length is not None and self._open is not None:
                self._open.truncate(length)
                self._open.seek(length)
            if self._seen.in_transaction:
                self._seen.execute("ROLLBACK")
            raise
        if self._open is not None and self._open.tell() >= self.roll_bytes:
            try:
                self._roll()
            except OSError as error:
                log.warning("a file of events cannot be finished yet: %s", error)
        return len(new)

    def _first_time(self, event_id: str, at: float) -> bool:
        return self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (event_id, at)).rowcount == 1

    def roll_if_due(self) -> None:
        """Names the open file when it is old enough: to be called now and then, events or not."""
        with self._lock:
            if self._open is not None and self._clock() - self._since >= self.roll_seconds:
                self._roll()
                forgotten = (datetime.now(UTC) - self.remember).timestamp()
                self._seen.execute("DELETE FROM seen WHERE at < ?", (forgotten,))

    def close(self) -> None:
        """Names the open file; nothing can be written afterwards."""
        with self._lock:
            self._roll()
            self._seen.close()

    def _opened(self) -> FileIO:
        if self._open is None:
            path = self.folder / f".events-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}.jsonl"
            # unbuffered: what was accepted is the system's, not this process's
            file = path.open("xb", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                # somebody who just started took it for an orphan, and will remove it
                file.close()
                raise
            self._open, self._path, self._since = file, path, self._clock()
        return self._open

    def _roll(self) -> None:
        if self._open is None:
            return
        os.fsync(self._open.fileno())
        _name(self._path)
        self._open.close()
        self._open = None

    def _finish_orphans(self) -> None:
        for path in sorted(self.folder.glob(".events-*.jsonl")):
            # one that goes away meanwhile was finished by its owner, or by somebody who starts beside us
            with suppress(FileNotFoundError, BlockingIOError), path.open("r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists():
                    # its owner died, perhaps in the middle of a line
                    file.truncate(file.read().rfind(b"\n") + 1)
                    _name(path)


def _name(path: Path) -> None:
    """The file's final name, or its end where nothing is in it."""
    if path.stat().st_size:
        path.rename(path.with_name(path.name.removeprefix(".")))
    else:
        path.unlink()
