"""The embedded node: what it refuses before it begins; its life is in test_life.py."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from es_ranking.engine import launch, launch_elasticsearch, launch_opensearch, unprivileged
from es_ranking.engine.node import free_port, node_state, remove_node, start_node, stop_node
from es_ranking.engine.places import node_folder
from es_ranking.engine.redis_node import redis_answers, redis_state, start_redis, stop_redis
from es_ranking.engine.state import NodeState, born
from es_ranking.engine.unprivileged import Identity, identity, reachable, reachable_copy
from segments.errors import EngineUnreachable, UsageError


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{os.getpid()}-own"
    yield name
    remove_node(name)
    remove_node(f"{name}-2")


def test_a_stale_state_file_is_not_believed(name: str) -> None:
    """The process id was given to somebody else: he must not be stopped."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        NodeState("http://127.0.0.1:9", other.pid, "born long ago", "nowhere").write(node_folder(name))
        assert node_state(name) is None
        assert not stop_node(name)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 1}'])
def test_a_broken_state_file_is_no_state(tmp_path: Path, content: str) -> None:
    (tmp_path / NodeState.FILE).write_text(content, encoding="utf-8")
    assert NodeState.read(tmp_path) is None


def test_a_process_that_ignores_being_asked_is_ended() -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    stubborn = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    state = NodeState("http://127.0.0.1:9", stubborn.pid, born(stubborn.pid) or "", "nowhere")
    assert state.running()
    assert state.stop(patience_seconds=0.3)
    assert not state.running()
    stubborn.stdout.close()
    # 0 when `stop` was the one to see it end.
    assert stubborn.wait() in {0, -signal.SIGKILL}


def test_a_server_that_ends_at_once_says_why(name: str, tmp_path: Path) -> None:
    """An unpacked folder that is no Elasticsearch: the launcher class is not there."""
    home = tmp_path / "es"
    (home / "lib" / "tools" / "server-launcher").mkdir(parents=True)
    (home / "config").mkdir()
    (home / "config" / "jvm.options").write_text("", encoding="utf-8")
    (home / "config" / "log4j2.properties").write_text("", encoding="utf-8")
    with pytest.raises(EngineUnreachable, match=r"ended while starting.*ServerLauncher"):
        start_node(name, es_home=home)
    assert node_state(name) is None


@pytest.mark.parametrize(("wrong", "says"), [({"name": "Big Node"}, "node's name"), ({"heap": "lots"}, "heap must")])
def test_what_cannot_be_meant(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        start_node(**{"name": "test-wrong", **wrong})


def test_no_elasticsearch_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no unpacked Elasticsearch"):
        start_node(name, es_home=tmp_path)
    with pytest.raises(UsageError, match="its own product"):
        start_node(name, es_home=tmp_path, version="8.16.1")


@pytest.mark.parametrize("launcher", [launch_elasticsearch, launch_opensearch])
def test_the_settings_keep_it_on_this_machine(tmp_path: Path, launcher: launch.Launcher) -> None:
    shipped = tmp_path / "server" / "config"
    shipped.mkdir(parents=True)
    for file in ("jvm.options", "log4j2.properties"):
        (shipped / file).write_text("", encoding="utf-8")
    start = launch.Launch("n", tmp_path / "server", tmp_path / "data", tmp_path / "jdk", 9215, "512m")
    launcher.configure(start)
    (file,) = (tmp_path / "data" / "config").glob("*search.yml")
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert {settings["http.host"], settings["transport.host"]} == {"127.0.0.1"}
    assert settings["discovery.type"] == "single-node"
    assert launcher.command(start)[0] == str(tmp_path / "jdk" / "bin" / "java")


def test_a_port_the_server_can_listen_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert free_port(among=[port, port + 1]) != port
        with pytest.raises(UsageError, match="no port is free"):
            free_port(among=[port])
        with pytest.raises(UsageError, match="is in use"):
            free_port(port)
    with pytest.raises(UsageError, match="ports 9210 to 9299 only"):
        free_port(9300, among=launch_opensearch.PORTS)


def test_our_heap_replaces_the_shipped_one() -> None:
    shipped = "# a comment\n-Xms4g\n-Xmx4g\n-XX:+UseG1GC\n-XX:HeapDumpPath=data\n-Xlog:gc*:file=gc.log\n"
    assert launch_elasticsearch.jvm_options(shipped, "512m") == "-XX:+UseG1GC\n-Xms512m\n-Xmx512m\n"


def test_secrets_do_not_travel_into_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ES_PASSWORD", "secret")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dsurprise=1")
    environment = launch.environment(launch.Launch("n", tmp_path, tmp_path, tmp_path, 1, "512m"))
    assert not {"ES_PASSWORD", "JAVA_TOOL_OPTIONS"} & set(environment)


def test_who_can_reach_what(tmp_path: Path) -> None:
    stranger = Identity(54321, 54321)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert reachable(closed / "file", None)
    assert not reachable(closed / "file", stranger)
    assert identity() is None or os.geteuid() == 0


def test_a_server_out_of_reach_gets_a_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root's cache under a closed home; the stranger is only asked about, so this needs no rights."""
    closed, shared = tmp_path / "closed", tmp_path / "shared"
    for folder in (closed / "server" / "lib", closed / "other" / "lib", shared):
        folder.mkdir(parents=True)
    (closed / "server" / "lib" / "a.jar").write_text("jar", encoding="utf-8")
    closed.chmod(0o700)
    monkeypatch.setattr(unprivileged, "shared_folder", lambda: shared)
    stranger = Identity(54321, 54321)
    assert reachable_copy(closed / "server", None) == closed / "server"
    twin = reachable_copy(closed / "server", stranger)
    assert (twin / "lib" / "a.jar").read_text(encoding="utf-8") == "jar"
    assert reachable_copy(closed / "server", stranger) == twin
    shutil.rmtree(closed / "server")
    other = reachable_copy(closed / "other", stranger)
    assert list(shared.iterdir()) == [other]


def test_redis_lives_and_cannot_write_files() -> None:
    name = f"test-{os.getpid()}-own-redis"
    state = start_redis(name)
    try:
        assert start_redis(name) == state
        assert redis_answers(state.url)
        port = int(state.url.rpartition(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(b"CONFIG SET dir /tmp\r\n")
            assert b"unknown command" in connection.recv(200)
    finally:
        assert stop_redis(name)
        remove_node(name)
    assert redis_state(name) is None
    assert not redis_answers(state.url)
