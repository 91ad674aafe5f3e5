"""What every client library must do for the engine, against a server that answers as planned. Enrol by subclassing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from es_ranking.engine.contract import BulkAction
from es_ranking.engine.errors import EngineBusy, EngineUnreachable
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.transport import EngineConfig


@dataclass
class Stub:
    """A server with planned answers; the last one is repeated.

    Attributes:
        plan: (status, body) each; a body of None closes the connection without an answer.
        seen: method, path, headers and body of each request.
    """

    url: str = ""
    plan: list[tuple[int, bytes | None]] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    slow_seconds: float = 0.0

    def answer(self) -> tuple[int, bytes | None]:
        return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]


@pytest.fixture
def stub() -> Iterator[Stub]:
    told = Stub()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            told.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(told.slow_seconds)
            status, content = told.answer()
            if content is None:
                return
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    for method in ("GET", "POST", "PUT", "HEAD", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.serve)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


class TransportContract:
    """One request in, one reply out; the engine above decides what is repeated."""

    product: str

    def engine(self, stub: Stub, **more: object) -> RestEngine:
        return RestEngine(EngineConfig(stub.url, product=self.product, **more))  # type: ignore[arg-type]

    @pytest.fixture(autouse=True)
    def _no_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("es_ranking.engine.rest.PAUSES", (0.0, 0.0, 0.0))

    def test_every_request_says_who_asks(self, stub: Stub) -> None:
        stub.plan = [(200, b'{"count": 3}')]
        assert self.engine(stub, opaque_id="night-7", api_key="k").count("products", {"match_all": {}}) == 3
        assert self.engine(stub, username="me", password="pass").count("a,b*") == 3
        (method, path, first, body), (_, other, second, _) = stub.seen
        assert (method, path, other) == ("POST", "/products/_count", "/a,b*/_count")
        assert (first["x-opaque-id"], first["authorization"]) == ("night-7", "ApiKey k")
        assert second["authorization"] == "Basic bWU6cGFzcw=="
        assert json.loads(body) == {"query": {"match_all": {}}}

    def test_lines_go_as_lines(self, stub: Stub) -> None:
        stub.plan = [(200, b'{"errors": false, "items": []}')]
        actions = [
            BulkAction("i", "1", {"n": "ü"}),
            BulkAction("i", "2", b'{"n":2}'),
            BulkAction("i", "3", None, "delete"),
        ]
        assert self.engine(stub).bulk(actions, refresh=True).done == 3
        _, path, headers, body = stub.seen[0]
        assert path == "/_bulk?refresh=true"
        assert "x-ndjson" in headers["content-type"]
        assert [json.loads(line) for line in body.decode().splitlines()] == [
            {"index": {"_index": "i", "_id": "1"}}, {"n": "ü"}, {"index": {"_index": "i", "_id": "2"}}, {"n": 2},
            {"delete": {"_index": "i", "_id": "3"}},
        ]  # fmt: skip

    def test_a_read_is_repeated_while_the_engine_is_busy(self, stub: Stub) -> None:
        stub.plan = [(503, b"{}"), (429, b"<html>"), (200, b'{"count": 3}')]
        assert self.engine(stub).count("products") == 3
        stub.plan = [(503, b'{"error": {"type": "t", "reason": "no master"}}')]
        stub.seen.clear()
        with pytest.raises(EngineBusy, match="no master"):
            self.engine(stub).count("products")
        assert len(stub.seen) == 4

    @pytest.mark.parametrize("status", [429, 503])
    def test_what_is_not_safe_is_sent_once(self, stub: Stub, status: int) -> None:
        stub.plan = [(status, b"{}")]
        engine = self.engine(stub)
        for send in (
            lambda: engine.bulk([BulkAction("i", "1", {})]),
            lambda: engine.update_aliases([]),
            lambda: engine.create_index("i", {}),
            lambda: engine.delete_index("i"),
        ):
            stub.seen.clear()
            with pytest.raises(EngineBusy):
                send()
            assert len(stub.seen) == 1

    def test_a_cut_connection_is_repeated_for_reads_only(self, stub: Stub) -> None:
        stub.plan = [(0, None), (0, None), (200, b'{"count": 3}')]
        assert self.engine(stub).count("products") == 3
        stub.plan = [(0, None)]
        stub.seen.clear()
        with pytest.raises(EngineUnreachable):
            self.engine(stub).update_aliases([])
        assert len(stub.seen) == 1

    def test_what_took_too_long_is_not_asked_again(self, stub: Stub) -> None:
        stub.plan, stub.slow_seconds = [(200, b'{"count": 3}')], 0.5
        with pytest.raises(EngineUnreachable, match="does not answer"):
            self.engine(stub, timeout_seconds=0.1).count("products")
        assert len(stub.seen) == 1

    def test_there_or_not(self, stub: Stub) -> None:
        stub.plan = [(404, b""), (200, b"")]
        engine = self.engine(stub)
        assert not engine.exists("products")
        assert engine.exists("products")
        assert [method for method, *_ in stub.seen] == ["HEAD", "HEAD"]
