"""Unpacking the server: only what is needed, nothing half, and every trouble in one line."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from es_ranking.engine import bundle, maven
from es_ranking.engine.maven import Artifact
from segments.errors import ContractBroken, MissingExtra, RankingError, Refused

FILES = {
    "sonar-1/elasticsearch/lib/elasticsearch-9.9.9.jar": b"jar",
    "sonar-1/elasticsearch/config/jvm.options": b"-XX:+UseG1GC\n",
    "sonar-1/elasticsearch/modules/x-pack-inference/big.jar": b"left out",
    "sonar-1/elasticsearch/modules/reindex/small.jar": b"kept",
    "sonar-1/web/index.html": b"not ours",
}


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    file = tmp_path / "remote" / "sonar-1.zip"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Artifact("group", "sonar", "1", "zip", file.stat().st_size, digest)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, artifact: Artifact) -> Path:
    """An empty cache, and a repository that is a folder."""

    def fetch(wanted: Artifact, into: Path, *, java: Path) -> Path:
        into.mkdir(parents=True)
        return Path(shutil.copy(tmp_path / "remote" / "sonar-1.zip", into))

    monkeypatch.setenv("ES_RANKING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bundle, "fetch", fetch)
    return tmp_path / "cache"


def test_only_the_server_is_kept(cache: Path, artifact: Artifact) -> None:
    server = bundle.ensure_server(java=Path("java"), artifact=artifact, version="9.9.9")
    kept = sorted(str(file.relative_to(server)) for file in server.rglob("*") if file.is_file())
    assert kept == ["config/jvm.options", "lib/elasticsearch-9.9.9.jar", "modules/reindex/small.jar"]
    assert (server / "plugins").is_dir()
    assert sorted(path.name for path in cache.iterdir()) == ["elasticsearch-9.9.9", "fetch.lock"]


def test_the_second_time_nothing_is_fetched(cache: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundle.ensure_server(java=Path("java"), artifact=artifact)
    monkeypatch.setattr(bundle, "fetch", None)
    assert bundle.ensure_server(java=Path("java"), artifact=artifact) == first


def test_a_broken_download_leaves_nothing(cache: Path, artifact: Artifact) -> None:
    with pytest.raises(ContractBroken, match="SHA-256") as broken:
        bundle.ensure_server(java=Path("java"), artifact=replace(artifact, sha256="0" * 64))
    assert broken.value.exit_code == 4
    assert [path.name for path in cache.iterdir()] == ["fetch.lock"]


def test_what_a_killed_download_left_is_removed(cache: Path, artifact: Artifact) -> None:
    (cache / "fetch-killed" / "download").mkdir(parents=True)
    bundle.ensure_server(java=Path("java"), artifact=artifact, version="9.9.9")
    assert sorted(path.name for path in cache.iterdir()) == ["elasticsearch-9.9.9", "fetch.lock"]


def test_no_disk_space(cache: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 5, 5))
    with pytest.raises(Refused, match="not enough disk") as refused:
        bundle.ensure_server(java=Path("java"), artifact=artifact)
    assert refused.value.exit_code == 3


def test_an_archive_that_escapes_its_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "evil.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/elasticsearch/../../../evil", b"evil")
    with pytest.raises(ContractBroken, match="outside"):
        bundle.unpack(file, tmp_path / "server")
    assert not (tmp_path.parent / "evil").exists()


def test_no_client_to_fetch_with(tmp_path: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maven, "_ivy_jar", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingExtra, match="pyspark"):
        maven.fetch(artifact, tmp_path / "work", java=Path("java"))


def test_a_failed_download_says_what_the_client_said(
    tmp_path: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "java"
    script.write_text("#!/bin/sh\necho resolving\necho 'ERROR: no route to host'\nexit 1\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(maven, "_ivy_jar", lambda: Path("ivy.jar"))
    with pytest.raises(RankingError, match="no route to host"):
        maven.fetch(artifact, tmp_path / "work", java=script)
