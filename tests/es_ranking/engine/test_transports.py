"""Both client libraries under the shared contract, and who is recognised at `/`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from es_ranking.engine.connect import connect
from es_ranking.engine.errors import EngineUnreachable
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.transport import EngineConfig
from segments.errors import UsageError
from tests.contracts.transport import Stub, TransportContract, stub

__all__ = ["stub"]


class TestElasticsearch(TransportContract):
    product = "elasticsearch"


class TestOpenSearch(TransportContract):
    product = "opensearch"


@pytest.mark.parametrize(
    ("version", "product"),
    [
        ({"number": "9.4.3", "build_flavor": "default"}, "elasticsearch"),
        ({"number": "8.16.1"}, "elasticsearch"),
        ({"number": "3.8.0", "distribution": "opensearch"}, "opensearch"),
    ],
)
def test_a_server_says_who_it_is(stub: Stub, version: dict[str, str], product: str) -> None:
    stub.plan = [(200, json.dumps({"version": version}).encode())]
    assert connect(stub.url).product == product
    assert [(method, path) for method, path, *_ in stub.seen] == [("GET", "/")]


@pytest.mark.parametrize("body", [b'{"hello": "world"}', b'{"version": "1.0"}', b"[]", b"<html></html>"])
def test_something_else_listens_there(stub: Stub, body: bytes) -> None:
    stub.plan = [(200, body)]
    with pytest.raises(EngineUnreachable):
        connect(stub.url)


def test_no_such_product() -> None:
    with pytest.raises(UsageError, match=r"unknown search engine 'solr'.*opensearch"):
        RestEngine(EngineConfig("http://127.0.0.1:9", product="solr"))


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = """
import sys
sys.modules["opensearchpy"] = None
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.transport import EngineConfig
from segments.errors import MissingExtra
RestEngine(EngineConfig("http://127.0.0.1:9"))
try:
    RestEngine(EngineConfig("http://127.0.0.1:9", product="opensearch"))
except MissingExtra as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == (
        "this needs opensearch-py, which is not installed. Hint: pip install 'es-ranking[opensearch]'"
    )
