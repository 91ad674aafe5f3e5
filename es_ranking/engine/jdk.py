"""Finds a JDK that the engine runs on, wherever it was installed: the `java` on the PATH is often an older one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from segments.errors import UsageError

_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/*",
    "/opt/java/*",
    "/opt/jdk/*",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
)


@dataclass(frozen=True)
class JavaRange:
    """The feature releases a server runs on.

    Attributes:
        newest: the newest its build was made for.
        later: whether a newer one is used when there is no other.
    """

    oldest: int = 21
    newest: int = 25
    later: bool = True

    def __contains__(self, release: int) -> bool:
        return self.oldest <= release and (self.later or release <= self.newest)

    def __str__(self) -> str:
        return f"{self.oldest} or newer" if self.later else f"{self.oldest} to {self.newest}"


USUAL = JavaRange()


@dataclass(frozen=True)
class Java:
    """A Java home and its feature release."""

    home: Path
    release: int

    @property
    def binary(self) -> Path:
        return self.home / "bin" / "java"


def find_java(needed: JavaRange = USUAL, *, also: Iterable[Path] = ()) -> Java:
    """The Java to start the engine with: `ES_JAVA_HOME` if set, else the best of `JAVA_HOME`, PATH and usual folders.

    Args:
        needed: what the server runs on.
        also: more homes to look at, such as one that came with the engine.

    Raises:
        UsageError: `ES_JAVA_HOME` is no Java the engine runs on, or none was found; says which ones were.
    """
    own = os.environ.get("ES_JAVA_HOME")
    if own:
        java = java_at(Path(own))
        if java is None or java.release not in needed:
            found = "no Java" if java is None else f"Java {java.release}"
            raise UsageError(
                f"ES_JAVA_HOME holds {found}, the engine needs {needed}",
                where=own,
                hint="correct ES_JAVA_HOME, or unset it and the usual folders are searched",
            )
        return java
    found_here = {java.home.resolve(): java for java in (java_at(home) for home in (*also, *_homes())) if java}
    fit = [java for java in found_here.values() if java.release in needed]
    if not fit:
        told = ", ".join(f"Java {java.release} in {java.home}" for java in found_here.values()) or "no Java at all"
        raise UsageError(
            f"the engine needs a JDK {needed}; found {told}",
            hint=f"install one (such as the package openjdk-{needed.oldest}-jdk) or set ES_JAVA_HOME",
        )
    tried = [java for java in fit if java.release <= needed.newest]
    return max(tried, key=lambda java: java.release) if tried else min(fit, key=lambda java: java.release)


def java_at(home: Path) -> Java | None:
    """The Java in that home; None if there is none that runs."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return None
    release = _told_by_file(home / "release") or _told_by_itself(home / "bin" / "java")
    return Java(home, release) if release else None


def _homes() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parents[1]
    for pattern in _FOLDERS:
        yield from (Path(found) for found in sorted(glob(os.path.expanduser(pattern))))


def _told_by_file(file: Path) -> int | None:
    try:
        return feature_release(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _told_by_itself(binary: Path) -> int | None:
    try:
        told = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return feature_release(told.stderr + told.stdout)


def feature_release(text: str) -> int | None:
    """The feature release in a `release` file or the output of `java -version`.

    >>> feature_release('JAVA_VERSION="25.0.1"'), feature_release('openjdk version "1.8.0_402"')
    (25, 8)
    """
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match.group(1)) if match else None
