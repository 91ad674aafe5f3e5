"""The engine: the shared contract on a real node of every product, and what it does when nobody answers."""

from __future__ import annotations

import socket

import pytest

from es_ranking.engine.connect import config_of, connect
from es_ranking.engine.errors import (
    Conflict,
    EngineBusy,
    EngineDenied,
    EngineRejected,
    EngineUnreachable,
    IndexMissing,
    RequestTooLarge,
)
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.translate import translated
from es_ranking.engine.transport import EngineConfig, Request
from segments.errors import UsageError
from tests.contracts.engine import EngineContract

VARIABLES = ("ES_URL", "ELASTICSEARCH_URL", "ES_API_KEY", "ES_USERNAME", "ES_PASSWORD", "ES_CA_CERTS")


class TestRestEngine(EngineContract):
    pass


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ES_RANKING_CACHE", str(tmp_path))
    return monkeypatch


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_answers(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineUnreachable, match="does not answer") as unreachable:
        connect(f"http://127.0.0.1:{closed_port()}")
    assert unreachable.value.exit_code == 5
    assert "es-ranking node start" in str(unreachable.value)


def test_nothing_is_configured(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineUnreachable, match="no search engine is configured"):
        connect()


def test_the_environment_says_where_and_who(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("ELASTICSEARCH_URL", "https://search.example")
    bare.setenv("ES_API_KEY", "secret-key")
    config = config_of()
    assert (config.url, config.api_key) == ("https://search.example:443", "secret-key")
    bare.setenv("ES_URL", "http://localhost")
    assert config_of().url == "http://localhost:9200"


def test_secrets_are_never_shown() -> None:
    config = EngineConfig("http://127.0.0.1:9200", api_key="secret-key", password="secret-word")
    asked = Request("GET", "/", config.headers(), 1.0)
    assert "secret" not in repr(config) + repr(RestEngine(config)) + repr(asked)


@pytest.mark.parametrize("url", ["localhost:9200", "ftp://localhost", "http://", "http://host:port"])
def test_a_url_that_cannot_be_meant(url: str) -> None:
    with pytest.raises(UsageError):
        config_of(url)


def test_credentials_do_not_belong_in_the_url() -> None:
    with pytest.raises(UsageError, match="carries credentials") as refused:
        config_of("http://me:secret@localhost:9200")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, EngineRejected, 1),
        (401, EngineDenied, 2),
        (403, EngineDenied, 2),
        (404, IndexMissing, 3),
        (409, Conflict, 3),
        (413, RequestTooLarge, 1),
        (429, EngineBusy, 1),
        (503, EngineBusy, 1),
        (None, EngineUnreachable, 5),
    ],
)
def test_every_status_is_one_of_our_errors(status: int | None, kind: type[Exception], code: int) -> None:
    error = translated(status, {"error": {"root_cause": [{"type": "t", "reason": "because"}]}}, "index")
    assert type(error) is kind
    assert error.exit_code == code
    assert "because" in str(error)


@pytest.mark.parametrize(
    "body", [None, "", "<html>bad gateway</html>", {"error": "plain"}, {"error": {"root_cause": []}}, []]
)
def test_bodies_that_are_not_what_they_should_be(body: object) -> None:
    assert str(translated(500, body, "index"))
