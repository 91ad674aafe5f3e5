"""Finding a JDK among older and newer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from es_ranking.engine import jdk
from segments.errors import UsageError


def make_java(home: Path, release: int, *, tells: bool = True) -> Path:
    (home / "bin").mkdir(parents=True)
    binary = home / "bin" / "java"
    binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{release}.0.1\"' >&2\n", encoding="utf-8")
    binary.chmod(0o755)
    if tells:
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}.0.1"\n', encoding="utf-8")
    return home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has only what the test puts under `jvm`."""
    for name in ("ES_JAVA_HOME", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jdk, "_FOLDERS", (f"{tmp_path}/jvm/*",))
    monkeypatch.setattr(jdk.shutil, "which", lambda _: None)
    return tmp_path / "jvm"


def test_the_older_one_on_the_path_does_not_matter(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_java(machine / "17", 17)
    make_java(machine / "21", 21)
    monkeypatch.setenv("JAVA_HOME", str(machine / "17"))
    assert jdk.find_java().home == machine / "21"


def test_a_release_the_engine_was_tried_with_is_preferred(machine: Path) -> None:
    for release in (21, 25, 99):
        make_java(machine / str(release), release)
    assert jdk.find_java().release == 25


def test_a_server_that_does_not_run_on_later_ones_gets_an_older(machine: Path) -> None:
    needed = jdk.JavaRange(17, 23, later=False)
    make_java(machine / "25", 25)
    with pytest.raises(UsageError, match="needs a JDK 17 to 23; found Java 25"):
        jdk.find_java(needed)
    make_java(machine / "17", 17)
    assert jdk.find_java(needed).release == 17


def test_a_newer_one_is_better_than_none(machine: Path) -> None:
    make_java(machine / "99", 99, tells=False)
    assert jdk.find_java().release == 99


def test_too_old(machine: Path) -> None:
    make_java(machine / "17", 17)
    with pytest.raises(UsageError, match="needs a JDK 21 or newer; found Java 17 in") as refused:
        jdk.find_java()
    assert refused.value.exit_code == 2


def test_none_at_all(machine: Path) -> None:
    with pytest.raises(UsageError, match="no Java at all"):
        jdk.find_java()


def test_es_java_home_is_taken_at_its_word(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_java(machine / "17", 17)
    make_java(machine / "21", 21)
    monkeypatch.setenv("ES_JAVA_HOME", str(machine / "17"))
    with pytest.raises(UsageError, match="ES_JAVA_HOME holds Java 17"):
        jdk.find_java()
    monkeypatch.setenv("ES_JAVA_HOME", str(machine / "none"))
    with pytest.raises(UsageError, match="ES_JAVA_HOME holds no Java"):
        jdk.find_java()
