"""Fetches files from Maven Central with an ordinary client: the Ivy that pyspark carries, or `mvn`."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from segments.errors import MissingExtra, RankingError

log = logging.getLogger("es_ranking.node")

_SAY_EVERY_SECONDS = 10.0
_SIDE_BY_SIDE = 4


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

    @property
    def file_name(self) -> str:
        """As it is called in a repository."""
        return f"{self.name}-{self.version}.{self.extension}"


def fetch(artifacts: Sequence[Artifact], into: Path, *, java: Path) -> list[Path]:
    """Downloads the artifacts under the folder `into`, several side by side, and returns the files. Not verified here.

    `ES_RANKING_MAVEN` names another repository than Maven Central, such as a company's mirror.

    Raises:
        MissingExtra: neither pyspark nor mvn is installed.
        RankingError: the client could not fetch one.
    """
    ivy, mvn = _ivy_jar(), shutil.which("mvn")
    if ivy is None and mvn is None:
        raise MissingExtra.of("batch", "pyspark (its Ivy fetches the engine; `mvn` on the PATH would do as well)")
    # Ivy fetches one file after the other, so several share the list; Maven does that by itself.
    lanes = min(_SIDE_BY_SIDE, len(artifacts)) if ivy else 1
    commands = []
    for lane in range(lanes):
        folder = into / str(lane)
        folder.mkdir(parents=True, exist_ok=True)
        part = artifacts[lane::lanes]
        command = _ivy_command(part, folder, java=java, ivy=ivy) if ivy else _mvn_command(part, folder, mvn=str(mvn))
        commands.append((command, folder / "client.log"))
    _run(commands, artifacts, into)
    return [_found(artifact, into) for artifact in artifacts]


def _found(artifact: Artifact, into: Path) -> Path:
    """The client keeps its own order of folders; only the name is certain."""
    files = sorted(into.rglob(artifact.file_name), key=lambda file: file.stat().st_size)
    if not files:
        raise RankingError(f"the download of {artifact.name} {artifact.version} left no file", where=str(into))
    return files[-1]


def _ivy_jar() -> Path | None:
    # find_spec looks, it does not import: the query side never loads Spark.
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        return None
    jars = sorted((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))
    return jars[-1] if jars else None


def _ivy_command(artifacts: Sequence[Artifact], into: Path, *, java: Path, ivy: Path) -> list[str]:
    mirror = os.environ.get("ES_RANKING_MAVEN")
    root = f" root={quoteattr(mirror)}" if mirror else ""
    settings, module = into / "ivysettings.xml", into / "ivy.xml"
    # The files are named and pinned one by one: descriptors and their parents would only be waited for.
    settings.write_text(
        "<ivysettings><settings defaultResolver='central'/><resolvers>"
        f"<ibiblio name='central' m2compatible='true' usepoms='false' useMavenMetadata='false'{root}/>"
        "</resolvers></ivysettings>",
        encoding="utf-8",
    )
    wanted = "".join(
        f"<dependency org='{one.group}' name='{one.name}' rev='{one.version}' transitive='false'>"
        f"<artifact name='{one.name}' type='{one.extension}' ext='{one.extension}'/></dependency>"
        for one in artifacts
    )
    module.write_text(
        "<ivy-module version='2.0'><info organisation='es-ranking' module='engine'/>"
        f"<dependencies>{wanted}</dependencies></ivy-module>",
        encoding="utf-8",
    )
    proxy = _proxy_options()
    return [str(java), *proxy, "-jar", str(ivy), "-settings", str(settings), "-ivy", str(module),
            "-cache", str(into / "ivy"), "-warn"]  # fmt: skip


def _mvn_command(artifacts: Sequence[Artifact], into: Path, *, mvn: str) -> list[str]:
    mirror = os.environ.get("ES_RANKING_MAVEN")
    root = f"<repository><id>central</id><url>{escape(mirror)}</url></repository>" if mirror else ""
    wanted = "".join(
        f"<dependency><groupId>{one.group}</groupId><artifactId>{one.name}</artifactId><version>{one.version}</version>"
        f"<type>{one.extension}</type><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
        "</exclusions></dependency>"
        for one in artifacts
    )
    (into / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>es-ranking</groupId><artifactId>engine</artifactId>"
        f"<version>1</version><packaging>pom</packaging><repositories>{root}</repositories>"
        f"<dependencies>{wanted}</dependencies></project>",
        encoding="utf-8",
    )
    return [mvn, "-q", "-B", "-f", str(into / "pom.xml"), "dependency:resolve",
            f"-Dmaven.repo.local={into / 'm2'}"]  # fmt: skip


def _proxy_options() -> list[str]:
    """Java does not read HTTPS_PROXY; it is told by properties."""
    proxy = urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]


def _run(commands: Sequence[tuple[list[str], Path]], artifacts: Sequence[Artifact], into: Path) -> None:
    """Runs the clients side by side, each with its log, and says how far they are."""
    total = sum(artifact.size for artifact in artifacts) // 10**6
    first = artifacts[0]
    log.info("downloading %s %s (%d files, %d MB, once)", first.name, first.version, len(artifacts), total)
    with ExitStack() as opened:
        clients = []
        for command, told in commands:
            sink = opened.enter_context(told.open("wb"))
            clients.append(subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL))
        try:
            said = time.monotonic()
            while any(client.poll() is None for client in clients):
                time.sleep(0.2)
                if time.monotonic() - said > _SAY_EVERY_SECONDS:
                    said = time.monotonic()
                    log.info("downloaded %d of %d MB", _bytes_under(into) // 10**6, total)
        finally:
            for client in clients:
                if client.poll() is None:
                    client.kill()
                    client.wait()
    for client, (_, told) in zip(clients, commands, strict=True):
        if client.returncode != 0:
            raise RankingError(
                f"the download of {first.name} failed: {_why(told)}",
                hint="check the network (HTTPS_PROXY is honoured; ES_RANKING_MAVEN names a mirror) and run again",
            )


def _why(told: Path) -> str:
    lines = [line.strip() for line in told.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "exception" in line.lower()]
    return (telling or lines or ["it said nothing"])[0][:300]


def _bytes_under(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except OSError:  # renamed while we looked
            continue
    return total
