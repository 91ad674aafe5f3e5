"""Unpacking the server: only what is needed, nothing half, and every trouble in one line."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from es_ranking.engine import bundle, launch_elasticsearch, maven
from es_ranking.engine.jdk import USUAL
from es_ranking.engine.maven import Artifact
from es_ranking.engine.releases import RELEASES, Release, release_of
from segments.errors import ContractBroken, MissingExtra, RankingError, Refused, UsageError

FAKE_CLIENT = """
import pathlib, re, sys
list_file = pathlib.Path(next(word for word in sys.argv if word.endswith(("ivy.xml", "pom.xml"))))
for name in re.findall(r"<dependency org='[^']*' name='([^']*)'|<artifactId>(part[^<]*)", list_file.read_text()):
    (list_file.parent / f"{name[0] or name[1]}-1.jar").write_text("x")
"""
FILES = {
    "sonar-1/elasticsearch/lib/elasticsearch-9.9.9.jar": b"jar",
    "sonar-1/elasticsearch/config/jvm.options": b"-XX:+UseG1GC\n",
    "sonar-1/elasticsearch/modules/x-pack-inference/big.jar": b"left out",
    "sonar-1/elasticsearch/modules/reindex/small.jar": b"kept",
    "sonar-1/web/index.html": b"not ours",
}


def artifact_of(file: Path, name: str, extension: str) -> Artifact:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Artifact("group", name, "1", extension, file.stat().st_size, digest)


def release_with(*artifacts: Artifact) -> Release:
    return Release("elasticsearch", "9.9.9", artifacts, 0, USUAL, launch_elasticsearch)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    file = tmp_path / "remote" / "sonar-1.zip"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return release_with(artifact_of(file, "sonar", "zip"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a repository that is a folder."""

    def fetch(wanted: Sequence[Artifact], into: Path, *, java: Path) -> list[Path]:
        into.mkdir(parents=True)
        return [Path(shutil.copy(tmp_path / "remote" / one.file_name, into)) for one in wanted]

    monkeypatch.setenv("ES_RANKING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bundle, "fetch", fetch)
    return tmp_path / "cache"


def test_only_the_server_is_kept(cache: Path, release: Release) -> None:
    server = bundle.ensure_server(release, java=Path("java"))
    kept = sorted(str(file.relative_to(server)) for file in server.rglob("*") if file.is_file())
    assert kept == ["config/jvm.options", "lib/elasticsearch-9.9.9.jar", "modules/reindex/small.jar"]
    assert (server / "plugins").is_dir()
    assert (server / "bin").is_dir()
    assert sorted(path.name for path in cache.iterdir()) == ["elasticsearch-9.9.9", "fetch.lock"]


def test_a_class_path_is_gathered_and_every_jar_verified(cache: Path, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    remote.mkdir()
    for name in ("core", "node"):
        (remote / f"{name}-1.jar").write_text(name, encoding="utf-8")
    jars = [artifact_of(remote / f"{name}-1.jar", name, "jar") for name in ("core", "node")]
    server = bundle.ensure_server(release_with(*jars), java=Path("java"))
    assert sorted(str(file.relative_to(server)) for file in server.rglob("*.jar")) == [
        "lib/core-1.jar",
        "lib/node-1.jar",
    ]
    shutil.rmtree(server)
    with pytest.raises(ContractBroken, match="node 1 is broken"):
        bundle.ensure_server(release_with(jars[0], replace(jars[1], size=5)), java=Path("java"))
    assert [path.name for path in cache.iterdir()] == ["fetch.lock"]


def test_the_second_time_nothing_is_fetched(cache: Path, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundle.ensure_server(release, java=Path("java"))
    monkeypatch.setattr(bundle, "fetch", None)
    assert bundle.ensure_server(release, java=Path("java")) == first


def test_a_broken_download_leaves_nothing(cache: Path, release: Release) -> None:
    with pytest.raises(ContractBroken, match="SHA-256") as broken:
        bundle.ensure_server(release_with(replace(release.artifacts[0], sha256="0" * 64)), java=Path("java"))
    assert broken.value.exit_code == 4
    assert [path.name for path in cache.iterdir()] == ["fetch.lock"]


def test_what_a_killed_download_left_is_removed(cache: Path, release: Release) -> None:
    (cache / "fetch-killed" / "download").mkdir(parents=True)
    bundle.ensure_server(release, java=Path("java"))
    assert sorted(path.name for path in cache.iterdir()) == ["elasticsearch-9.9.9", "fetch.lock"]


def test_no_disk_space(cache: Path, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 5, 5))
    with pytest.raises(Refused, match="not enough disk") as refused:
        bundle.ensure_server(release, java=Path("java"))
    assert refused.value.exit_code == 3


def test_an_archive_that_escapes_its_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "evil.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/elasticsearch/../../../evil", b"evil")
    with pytest.raises(ContractBroken, match="outside"):
        bundle.unpack(file, tmp_path / "server")
    assert not (tmp_path.parent / "evil").exists()


def test_every_pinned_file_has_a_size_and_a_checksum() -> None:
    for release in RELEASES:
        assert release_of(release.product, release.version) is release
        names = [one.file_name for one in release.artifacts]
        assert len(set(names)) == len(names), "two files of one name would meet in one folder"
        assert all(one.size > 0 and len(one.sha256) == 64 for one in release.artifacts)
    assert release_of() is RELEASES[0]
    assert release_of("opensearch").product == "opensearch"
    with pytest.raises(UsageError, match=r"unknown version of opensearch '1.0'.*3\.8\.0"):
        release_of("opensearch", "1.0")
    with pytest.raises(UsageError, match="unknown search engine"):
        release_of("solr")


def test_no_client_to_fetch_with(tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maven, "_ivy_jar", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingExtra, match="pyspark"):
        maven.fetch(release.artifacts, tmp_path / "work", java=Path("java"))


def test_a_failed_download_says_what_the_client_said(
    tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "java"
    script.write_text("#!/bin/sh\necho resolving\necho 'ERROR: no route to host'\nexit 1\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(maven, "_ivy_jar", lambda: Path("ivy.jar"))
    with pytest.raises(RankingError, match="no route to host"):
        maven.fetch(release.artifacts, tmp_path / "work", java=script)


@pytest.mark.parametrize("client", ["ivy", "mvn"])
def test_many_files_are_shared_by_the_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    """A client that writes each file its list names: every artifact comes back, in order, whoever fetched it."""
    script = tmp_path / "client"
    script.write_text(f"#!{sys.executable}\n{FAKE_CLIENT}", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(maven, "_ivy_jar", lambda: Path("ivy.jar") if client == "ivy" else None)
    monkeypatch.setattr(shutil, "which", lambda _: str(script))
    wanted = [Artifact("org.x", f"part{n}", "1", "jar", 1, "") for n in range(9)]
    found = maven.fetch(wanted, tmp_path / "work", java=script)
    assert [file.name for file in found] == [one.file_name for one in wanted]
    lanes = {file.relative_to(tmp_path / "work").parts[0] for file in found}
    assert len(lanes) == (4 if client == "ivy" else 1)
