"""Which tables a warehouse holds, told by their manifests alone: nothing here needs Spark."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Files(Protocol):
    """What is asked of a file system; names are whole paths under the warehouse's root."""

    def get(self, name: str) -> str | None:
        """The file's text, None if there is none."""

    def names(self, folder: str) -> list[str]:
        """What lies in a folder; nothing if there is no such folder."""

    def remove(self, name: str) -> None:
        """Removes a file or folder, if it is there."""

    def size(self, name: str) -> int:
        """Bytes of a file, or of all files in a folder; 0 if it is not there."""


class LocalFiles:
    """A warehouse on this machine's own disk."""

    def get(self, name: str) -> str | None:
        try:
            return Path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        path = Path(folder)
        return [inner.name for inner in path.iterdir()] if path.is_dir() else []

    def remove(self, name: str) -> None:
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def size(self, name: str) -> int:
        path = Path(name)
        inner = path.rglob("*") if path.is_dir() else (path,)
        return sum(file.lstat().st_size for file in inner if file.is_file())


@dataclass(frozen=True)
class Manifest:
    """What makes a run's table visible."""

    table: str
    run: str
    attempt: str
    rows: int
    columns: list[str]
    schema: dict[str, Any]


class Manifests:
    """Tables by (name, run) under one root path: which there are, how large, and away with them."""

    files: Files

    def __init__(self, files: Files, root: str) -> None:
        self.files = files
        self.root = root.rstrip("/")

    def manifest(self, table: str, run: str) -> Manifest | None:
        """The manifest of a run's table, None if there is none."""
        text = self.files.get(f"{self._folder(table, run)}/manifest.json")
        return None if text is None else Manifest(**json.loads(text))

    def drop(self, table: str, run: str) -> None:
        """Removes the table of that run, if there is one: its manifest first, so that half of it is never visible."""
        self.files.remove(f"{self._folder(table, run)}/manifest.json")
        self.files.remove(self._folder(table, run))

    def size(self, table: str, run: str) -> int:
        """Bytes of all that lies there for the table of that run, visible or not."""
        return self.files.size(self._folder(table, run))

    def runs(self, table: str) -> list[str]:
        """The runs that have this table, oldest first."""
        return [run for run in self.begun(table) if self.manifest(table, run) is not None]

    def begun(self, table: str) -> list[str]:
        """The runs for which anything was written of this table, whole or not, oldest first."""
        names = self.files.names(f"{self.root}/{table}")
        return sorted(name.removeprefix("run=") for name in names if name.startswith("run="))

    def _folder(self, table: str, run: str) -> str:
        return f"{self.root}/{table}/run={run}"
