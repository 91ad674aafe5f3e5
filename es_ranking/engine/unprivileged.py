"""The engine refuses to run as root. Who it runs as then, and where that user can read and write.

Root's home is usually closed to everybody else, so neither the unpacked server nor data in root's cache can be used by
another user. They then lie under one folder of root's own in /var/tmp, linked, not copied, where that is possible.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from segments.errors import Refused
from segments.hashing import hash64

_NOBODY = 65534
_SOURCE = ".es-ranking-source"


@dataclass(frozen=True)
class Identity:
    """A user and group id."""

    uid: int
    gid: int


def identity() -> Identity | None:
    """Whom to become: None (stay who you are) unless we are root."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Identity(_NOBODY, _NOBODY)
    return Identity(nobody.pw_uid, nobody.pw_gid)


def reachable(path: Path, who: Identity | None) -> bool:
    """Whether that user may walk down to `path`: every folder above it lets him through."""
    return who is None or all(_passes(folder, who) for folder in path.resolve().parents)


def _passes(folder: Path, who: Identity) -> bool:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return True  # not made yet: we make it passable
    if found.st_uid == who.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == who.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def shared_folder(base: Path = Path("/var/tmp")) -> Path:
    """Root's own folder that everybody may pass through.

    Raises:
        Refused: somebody else made a folder of that name: it cannot be trusted.
    """
    folder = base / f"es-ranking-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused("the folder belongs to somebody else", where=str(folder), hint="remove it, or set TMPDIR")
    folder.chmod(0o755)
    return folder


def reachable_copy(server: Path, who: Identity | None) -> Path:
    """The server itself, or its twin in the shared folder if that user cannot reach it; made once, then reused."""
    if reachable(server, who):
        return server
    found = server.stat()
    # Another unpacking of the same server is another inode: its twin gets another name.
    twin = shared_folder() / f"{server.name}-{hash64(str(server), str(found.st_ino), str(found.st_mtime_ns)):016x}"
    if twin.is_dir():
        return twin
    _remove_widows(twin.parent)
    half = twin.with_name(f"{twin.name}.{os.getpid()}")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(server, half, copy_function=_link_or_copy)
    (half / _SOURCE).write_text(str(server), encoding="utf-8")
    half.rename(twin)
    return twin


def _remove_widows(folder: Path) -> None:
    """Twins of servers that are gone."""
    for note in folder.glob(f"*/{_SOURCE}"):
        if not Path(note.read_text(encoding="utf-8")).exists():
            shutil.rmtree(note.parent, ignore_errors=True)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
