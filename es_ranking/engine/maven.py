"""Fetches one file from Maven Central with an ordinary client: the Ivy that pyspark carries, or `mvn`."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from segments.errors import MissingExtra, RankingError

log = logging.getLogger("es_ranking.node")

_SAY_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Artifact:
    """A file in a Maven repository.

    Attributes:
        size: bytes, for the disk check and for progress.
        sha256: of the file; what is fetched is worth nothing unless it agrees.
    """

    group: str
    name: str
    version: str
    extension: str
    size: int
    sha256: str


def fetch(artifact: Artifact, into: Path, *, java: Path) -> Path:
    """Downloads the artifact under the folder `into` and returns the file. Not verified here.

    `ES_RANKING_MAVEN` names another repository than Maven Central, such as a company's mirror.

    Raises:
        MissingExtra: neither pyspark nor mvn is installed.
        RankingError: the client could not fetch it.
    """
    into.mkdir(parents=True, exist_ok=True)
    ivy, mvn = _ivy_jar(), shutil.which("mvn")
    if ivy is not None:
        command = _ivy_command(artifact, into, java=java, ivy=ivy)
    elif mvn is not None:
        command = _mvn_command(artifact, into, mvn=mvn)
    else:
        raise MissingExtra.of("batch", "pyspark (its Ivy fetches the engine; `mvn` on the PATH would do as well)")
    _run(command, artifact, into)
    found = sorted(into.rglob(f"*{artifact.version}*.{artifact.extension}"), key=lambda file: file.stat().st_size)
    if not found:
        raise RankingError(f"the download of {artifact.name} {artifact.version} left no file", where=str(into))
    return found[-1]


def _ivy_jar() -> Path | None:
    # find_spec looks, it does not import: the query side never loads Spark.
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        return None
    jars = sorted((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))
    return jars[-1] if jars else None


def _ivy_command(artifact: Artifact, into: Path, *, java: Path, ivy: Path) -> list[str]:
    mirror = os.environ.get("ES_RANKING_MAVEN")
    root = f" root={quoteattr(mirror)}" if mirror else ""
    settings, module = into / "ivysettings.xml", into / "ivy.xml"
    settings.write_text(
        "<ivysettings><settings defaultResolver='central'/><resolvers>"
        f"<ibiblio name='central' m2compatible='true'{root}/></resolvers></ivysettings>",
        encoding="utf-8",
    )
    module.write_text(
        "<ivy-module version='2.0'><info organisation='es-ranking' module='engine'/><dependencies>"
        f"<dependency org='{artifact.group}' name='{artifact.name}' rev='{artifact.version}' transitive='false'>"
        f"<artifact name='{artifact.name}' type='{artifact.extension}' ext='{artifact.extension}'/></dependency>"
        "</dependencies></ivy-module>",
        encoding="utf-8",
    )
    proxy = _proxy_options()
    return [str(java), *proxy, "-jar", str(ivy), "-settings", str(settings), "-ivy", str(module),
            "-cache", str(into / "ivy"), "-warn"]  # fmt: skip


def _mvn_command(artifact: Artifact, into: Path, *, mvn: str) -> list[str]:
    coordinates = f"{artifact.group}:{artifact.name}:{artifact.version}:{artifact.extension}"
    mirror = os.environ.get("ES_RANKING_MAVEN")
    remote = [f"-DremoteRepositories={mirror}"] if mirror else []
    return [mvn, "-q", "-B", "dependency:get", f"-Dartifact={coordinates}", "-Dtransitive=false",
            f"-Dmaven.repo.local={into / 'm2'}", *remote]  # fmt: skip


def _proxy_options() -> list[str]:
    """Java does not read HTTPS_PROXY; it is told by properties."""
    proxy = urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]


def _run(command: list[str], artifact: Artifact, into: Path) -> None:
    log.info("downloading %s %s (%d MB, once)", artifact.name, artifact.version, artifact.size // 10**6)
    with (into / "client.log").open("w+", encoding="utf-8", errors="replace") as told:
        client = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            said = time.monotonic()
            while client.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - said > _SAY_EVERY_SECONDS:
                    said = time.monotonic()
                    log.info("downloaded %d of %d MB", _bytes_under(into) // 10**6, artifact.size // 10**6)
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
        if client.returncode != 0:
            told.seek(0)
            lines = [line.strip() for line in told if line.strip()]
            telling = [line for line in lines if "error" in line.lower() or "exception" in line.lower()]
            why = (telling or lines or ["it said nothing"])[0][:300]
            raise RankingError(
                f"the download of {artifact.name} failed: {why}",
                hint="check the network (HTTPS_PROXY is honoured; ES_RANKING_MAVEN names a mirror) and run again",
            )


def _bytes_under(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except OSError:  # renamed while we looked
            continue
    return total
