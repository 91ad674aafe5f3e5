"""Files that are whole or not there: written beside and renamed, so a reader sees the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the place of `path`, unless something is raised.

    Its ending is `.tmp`: what a killed process leaves is nobody's table, picture or checkpoint.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Replaces a text file."""
    with whole(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
