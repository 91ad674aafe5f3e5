"""Limits and bad input: one clear line, the right status, and nothing of ours in the answer or the log."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from es_ranking.engine.errors import EngineBusy, EngineDenied, EngineRejected, IndexMissing
from es_ranking.serve.body import is_recommended
from es_ranking.serve.floor import has_text
from es_ranking.serve.statuses import STATUSES, status_of
from segments.errors import EngineUnreachable
from tests.es_ranking.serve.door import ALIAS, MemoryEngine, MemoryPassing, call, refused, service_of

SEARCH = f"/{ALIAS}/_search"
ASKED = {"sort": "recommended"}


@pytest.mark.parametrize(
    ("status", "path", "sent", "reason"),
    [
        (413, SEARCH, {"content": b" " * 3000}, "longer than 2048 bytes"),
        (413, SEARCH, {"json": {**ASKED, "from": 90, "size": 20}}, "page too deep"),
        (413, SEARCH, {"json": {"size": 101}}, "page too deep"),
        (413, SEARCH, {"json": {}, "params": {"from": "99", "size": "3"}}, "page too deep"),
        (400, SEARCH, {"content": b"{"}, "not valid JSON"),
        (400, SEARCH, {"content": b'{"a": NaN}'}, "not valid JSON"),
        (400, SEARCH, {"content": b'{"min_score": 1e999}'}, "not valid JSON"),
        (400, SEARCH, {"content": b"[" * 1500}, "not valid JSON"),
        (400, SEARCH, {"content": b"[" * 150 + b"]" * 150}, "nested deeper"),
        (400, SEARCH, {"content": b"[1]"}, "a JSON object"),
        (400, SEARCH, {"json": {**ASKED, "query": 3}}, "query: "),
        (400, SEARCH, {"json": {**ASKED, "search_after": [1]}}, "cannot be combined"),
        (400, SEARCH, {"json": ASKED, "params": {"routing": "x"}}, "cannot be planned with: routing"),
        (400, SEARCH, {"json": {}, "params": {"scroll": "1m"}}, "scroll"),
        (400, SEARCH, {"json": {}, "params": {"typed_keys": "yes"}}, "true or false"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.cursor": "x.y"}}, "not a cursor of ours"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.cursor": "x.y~zz"}}, "not a cursor of ours"),
        (400, SEARCH, {"json": {}, "params": {"es_ranking.cursor": "x.y"}}, "a cursor needs the sort"),
        (400, SEARCH, {"json": ASKED, "headers": {"x-es-ranking-usr": "a"}}, "unknown name 'usr'"),
        (400, SEARCH, {"json": ASKED, "headers": {"x-es-ranking-user": b"\xff"}}, "UTF-8"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.user": "u" * 600}}, "longer than 512"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.at": "0001-01-01"}}, "not a time"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.floor": "nan"}}, "not a share"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.surface": "/etc/passwd"}}, "unknown surface"),
        (400, SEARCH, {"json": ASKED, "params": {"es_ranking.segment": "x"}}, "unknown segment"),
        (400, SEARCH, {"content": b"x", "headers": {"content-encoding": "gzip"}}, "compressed"),
        (404, "/shop-users/_search", {"json": {}}, "not served here"),
        (404, "/_all/_search", {"json": {}}, "not served here"),
        (404, "/shop/_doc/1", {"json": {}}, "no such path"),
        (404, "/_events", {"json": {}}, "takes no events"),
    ],
)  # fmt: skip
def test_bad_requests(status: int, path: str, sent: dict[str, Any], reason: str) -> None:
    service = service_of(MemoryEngine(), body_bytes=2048, deepest=100)
    response = call(service, "POST", path, **sent)
    assert response.status_code == status, response.text
    assert reason in refused(response)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineRejected("bad query"), 400),
        (IndexMissing("gone"), 404),
        (EngineDenied("ApiKey secret", where="http://inside:9200"), 502),
        (EngineUnreachable("secret", where="http://inside:9200"), 503),
        (EngineBusy("secret"), 503),
        (ZeroDivisionError("secret"), 500),
    ],
)
def test_a_failing_engine_is_told_without_what_is_inside(error: Exception, status: int) -> None:
    assert status_of(error) == status
    response = call(service_of(MemoryEngine(error)), "POST", SEARCH, json=ASKED)
    assert response.status_code == status
    assert "secret" not in response.text
    assert "inside" not in response.text
    assert refused(response)


def test_every_error_of_the_table_has_the_status_of_its_own_line() -> None:
    for kind, status in STATUSES.items():
        assert status_of(kind("x")) == status


def test_late_and_too_many_requests_are_answered_at_once() -> None:
    gate = threading.Event()

    class Slow(MemoryEngine):
        def search(self, *_: Any, **__: Any) -> dict[str, Any]:
            gate.wait(10)
            raise EngineBusy("late")

    service = service_of(Slow(), threads=1, waiting=0, timeout_seconds=0.1)
    assert call(service, "POST", SEARCH, json=ASKED).status_code == 504
    busy = call(service, "POST", SEARCH, json=ASKED)
    assert busy.status_code == 503
    assert busy.headers["retry-after"] == "1"
    gate.set()
    service.pool.close()


def test_the_log_knows_neither_user_nor_cursor_nor_credentials(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="es_ranking")
    secrets = {"authorization": "ApiKey c2VjcmV0", "x-es-ranking-user": "somebody"}
    for body in (ASKED, {}, {**ASKED, "query": "broken"}):
        call(service_of(MemoryEngine()), "POST", SEARCH, json=body, headers=secrets)
    assert "POST search 200" in caplog.text
    assert "POST search 400" in caplog.text
    assert "c2VjcmV0" not in caplog.text
    assert "somebody" not in caplog.text


def test_what_is_passed_on_keeps_its_bytes_and_parameters() -> None:
    passing = MemoryPassing()
    raw = b'{ "query" : {"match_all":{}}, "query": {"term":{"a":1.0}} }'
    call(service_of(MemoryEngine(), passing=passing), "POST", SEARCH, content=raw,
         params={"routing": "a b", "es_ranking.user": "ann"})  # fmt: skip
    assert passing.seen == [(ALIAS, raw, (("routing", "a b"),))]


@pytest.mark.parametrize(
    ("sort", "ours"),
    [
        ("recommended", True), (["recommended"], True), ("recommended:desc", True), ({"recommended": "desc"}, True),
        ("recommended,item_id", True), ([{"recommended": {"order": "desc"}}, {"item_id": {"order": "asc"}}], True),
        (None, False), ([], False), ("price", False), ("recommended:asc", False), (["price", "recommended"], False),
        ({"recommended": {"order": "asc"}}, False), (["recommended", "price"], False), (3, False),
    ],
)  # fmt: skip
def test_which_sorts_are_recommended(sort: Any, ours: bool) -> None:
    assert is_recommended(sort, "item_id") is ours


def test_where_text_counts() -> None:
    match = {"match": {"title": "soup"}}
    assert has_text(match)
    assert has_text({"bool": {"must": [{"term": {"a": 1}}, match]}})
    assert has_text({"function_score": {"query": {"dis_max": {"queries": [match]}}}})
    assert not has_text({"bool": {"filter": [match]}})
    assert not has_text({"constant_score": {"filter": match}})
