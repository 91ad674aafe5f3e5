"""A node with security and TLS: who is let in, and what every mistake says, in one line and without the secret."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from cli.main import exit_code_of
from es_ranking.engine import launch_opensearch
from es_ranking.engine.awaited import AwaitedSearches
from es_ranking.engine.connect import connect
from es_ranking.engine.errors import EngineDenied
from es_ranking.engine.launch import Launch
from es_ranking.engine.node import start_node
from es_ranking.engine.places import node_folder
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.secured import FILE, read_access, secure, write_access
from es_ranking.engine.state import NodeState, born
from es_ranking.engine.transport import PRODUCTS, EngineConfig
from segments.errors import EngineUnreachable, RankingError, UsageError
from tests.contracts.transport import Stub, stub
from tests.es_ranking.publish.shop import NIGHT, plan_for, publish_night
from tests.es_ranking.roles.keys import ask, key_of

__all__ = ["stub"]
VARIABLES = ("ES_URL", "ELASTICSEARCH_URL", "ES_API_KEY", "ES_USERNAME", "ES_PASSWORD", "ES_CA_CERTS")
ALIAS = "t-secured"
UNKNOWN = base64.b64encode(b"nobody:has-this-key").decode()
DOORS = (
    ["generations", ALIAS],
    ["search", ALIAS],
    ["doctor", ALIAS, "--output", "json"],
    ["serve", ALIAS],
    ["rollback", ALIAS],
)


@pytest.fixture
def key(secured: EngineConfig) -> EngineConfig:
    return key_of(secured, "publisher", ALIAS)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, key: EngineConfig) -> Callable[..., None]:
    """Sets what the environment says, a publisher's key if nothing else is said."""

    def set_to(**changed: str | None) -> None:
        right = {"ES_URL": key.url, "ES_API_KEY": key.api_key, "ES_CA_CERTS": key.ca_certs}
        for name, value in {**dict.fromkeys(VARIABLES), **right, **changed}.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    set_to()
    return set_to


MISTAKES: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no credentials": ({"ES_API_KEY": None}, 2, "401"),
    "a key that is unknown": ({"ES_API_KEY": UNKNOWN}, 2, "401"),
    "a key that is none": ({"ES_API_KEY": "has-this-key"}, 2, "401"),
    "a key no header can carry": ({"ES_API_KEY": "has-this-key\nx"}, 2, "no header can carry"),
    "a wrong password": ({"ES_API_KEY": None, "ES_USERNAME": "elastic", "ES_PASSWORD": "has-this-key"}, 2, "401"),
    "no certificates": ({"ES_CA_CERTS": None}, 5, "ES_CA_CERTS"),
    "another's certificates": ({"ES_CA_CERTS": certifi.where()}, 5, "ES_CA_CERTS"),
    "certificates that are not there": ({"ES_CA_CERTS": "/nowhere/ca.pem"}, 2, "no certificates"),
    "certificates that are none": ({"ES_CA_CERTS": __file__}, 2, "no certificates"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(
    environment: Callable[..., None], key: EngineConfig, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    changed, code, says = MISTAKES[mistake]
    environment(**changed)
    for door in DOORS:
        assert exit_code_of(door) == code, door
        captured = capsys.readouterr()
        said = captured.out if door[0] == "doctor" else captured.err
        assert says in said
        assert door[0] == "doctor" or captured.err.count("\n") == 1
        for secret in (key.api_key, "has-this-key", UNKNOWN):
            assert secret is not None
            assert secret not in captured.out + captured.err


def test_plain_http_to_a_server_with_tls(
    environment: Callable[..., None], key: EngineConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    environment(ES_URL=key.url.replace("https", "http"))
    assert exit_code_of(["generations", ALIAS]) == 5
    said = capsys.readouterr().err
    assert "https://" in said
    assert said.count("\n") == 1


def test_tls_to_a_server_without(
    environment: Callable[..., None], stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.plan = [(200, b"{}")]
    environment(ES_URL=stub.url.replace("http", "https"))
    assert exit_code_of(["generations", ALIAS]) == 5
    said = capsys.readouterr().err
    assert "http://" in said
    assert said.count("\n") == 1
    assert stub.seen == [], "no request, and so no credential, went out in clear"


def test_a_certificate_is_for_its_names_only(
    environment: Callable[..., None],
    key: EngineConfig,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *more, **how: found("127.0.0.1", *more, **how))
    environment(ES_URL=key.url.replace("127.0.0.1", "shop.example"))
    assert exit_code_of(["generations", ALIAS]) == 5
    assert "shop.example" in capsys.readouterr().err


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_client_verifies(secured: EngineConfig, product: str) -> None:
    for certificates in (secured.ca_certs, None, certifi.where()):
        engine = RestEngine(replace(secured, product=product, ca_certs=certificates))
        if certificates == secured.ca_certs:
            assert engine.health() == "green"
        else:
            with pytest.raises(EngineUnreachable, match="ES_CA_CERTS"):
                engine.info()
        engine.close()


def test_awaited_searches_verify_too(secured: EngineConfig) -> None:
    async def count(config: EngineConfig) -> int:
        async with AwaitedSearches(config) as searches:
            (answer,) = await searches.msearch([("*", {"size": 0, "query": {"match_none": {}}})])
            return int(answer["hits"]["total"]["value"])

    assert asyncio.run(count(secured)) == 0
    with pytest.raises(EngineUnreachable, match="ES_CA_CERTS"):
        asyncio.run(count(replace(secured, ca_certs=None)))


def test_a_searchers_key_writes_nothing(
    environment: Callable[..., None], secured: EngineConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = RestEngine(secured)
    publish_night(admin, ALIAS, NIGHT)
    environment(ES_API_KEY=key_of(secured, "searcher", ALIAS).api_key)
    assert exit_code_of(["search", ALIAS, "--size", "3"]) == 0
    assert "i000" in capsys.readouterr().out
    assert exit_code_of(["explain", "i000", "--index", ALIAS, "--segment", "all"]) == 0
    publish_night(admin, ALIAS, "20171128T000000")
    capsys.readouterr()
    assert exit_code_of(["rollback", ALIAS]) == 2
    said = capsys.readouterr().err
    assert "403" in said
    assert "es-ranking roles show" in said
    assert said.count("\n") == 1
    for state in admin.indices(f"{ALIAS}*"):
        admin.delete_index(state.name)
    admin.close()


def test_a_key_that_was_taken_back(environment: Callable[..., None], secured: EngineConfig, key: EngineConfig) -> None:
    engine = connect()
    engine.health()
    assert key.api_key is not None
    name = base64.b64decode(key.api_key).decode().partition(":")[0]
    assert ask(secured, "DELETE", "/_security/api_key", {"ids": [name]}).status == 200
    with pytest.raises(EngineDenied):
        engine.health()
    engine.close()


def test_secrets_stand_nowhere(
    secured: EngineConfig, key: EngineConfig, environment: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what is printed of an engine or a plan, and not in a single line logged at any level."""
    caplog.set_level(logging.DEBUG)
    engine = connect()
    plan = plan_for(engine, ALIAS, NIGHT)
    publish_night(engine, ALIAS, NIGHT)
    shown = repr(engine) + repr(key) + repr(secured) + repr(plan) + json.dumps(plan.to_dict())
    with pytest.raises(EngineDenied) as denied:
        engine.search("another", {})
    shown += str(denied.value) + repr(denied.value) + repr(denied.value.__cause__)
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert caplog.records
    for secret in (key.api_key, secured.password, base64.b64decode(str(key.api_key)).decode().partition(":")[2]):
        assert secret
        assert secret not in shown
        assert secret not in logged
    engine.close()
    admin = RestEngine(secured)
    for state in admin.indices(f"{ALIAS}*"):
        admin.delete_index(state.name)
    admin.close()


def test_what_cannot_be_secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = Launch("n", tmp_path, tmp_path, tmp_path, 1, "512m", "it's secret")
    with pytest.raises(UsageError, match="no security plug-in"):
        launch_opensearch.configure(launch)
    with pytest.raises(RankingError, match="no keytool there") as failed:
        secure(launch, "it's secret", keystore_tool=["x"])
    assert "secret" not in str(failed.value)
    monkeypatch.setenv("ES_RANKING_CACHE", str(tmp_path))
    NodeState("http://127.0.0.1:9", os.getpid(), born(os.getpid()) or "", "").write(node_folder("n"))
    with pytest.raises(UsageError, match="runs without security"):
        start_node("n", secure=True)


def test_access_is_the_owners_alone(tmp_path: Path) -> None:
    launch = Launch("n", tmp_path, tmp_path, tmp_path, 1, "512m", "it's secret")
    assert "secret" not in repr(launch)
    write_access(tmp_path, launch, "https://127.0.0.1:1")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    access = read_access(tmp_path)
    assert access is not None
    assert (access.url, access.username, access.password) == ("https://127.0.0.1:1", "elastic", "it's secret")
    assert access.ca_certs == str(tmp_path / "config" / "certificates.pem")
    write_access(tmp_path, Launch("n", tmp_path, tmp_path, tmp_path, 1, "512m"), "http://127.0.0.1:1")
    assert read_access(tmp_path) is None
