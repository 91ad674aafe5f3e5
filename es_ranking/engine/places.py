"""Where things lie on this machine: the cache, and a folder for each node we start."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_NODE = "default"


def cache_folder() -> Path:
    """`ES_RANKING_CACHE`, or `es-ranking` under `XDG_CACHE_HOME` or `~/.cache`. Not made here."""
    own = os.environ.get("ES_RANKING_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "es-ranking"


def node_folder(name: str = DEFAULT_NODE) -> Path:
    """The folder of a named node: its state file, and (where its user can reach it) its data."""
    return cache_folder() / "nodes" / name
