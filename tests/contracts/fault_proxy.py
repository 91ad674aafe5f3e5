"""A real engine behind a bad line: HTTP goes through request by request, until it meets a fault that a test planned."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import SplitResult, urlsplit

PATIENCE_SECONDS = 2.0
"""How long a client waits whose time shall run out."""
# What belongs to one connection and not to the request; answers come as they are, not compressed.
_OF_THE_LINE = {"host", "connection", "content-length", "accept-encoding", "transfer-encoding"}


@dataclass(frozen=True)
class Reply:
    """An engine's answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Exchange:
    """One request on its way, and what a fault may do with it."""

    def __init__(self, handler: BaseHTTPRequestHandler, engine: SplitResult) -> None:
        self._handler = handler
        self._address = (engine.hostname or "", engine.port or 9200)
        self.method, self.path = handler.command, handler.path
        self.headers = {name: value for name, value in handler.headers.items() if name.lower() not in _OF_THE_LINE}
        self.body = handler.rfile.read(int(handler.headers.get("content-length") or 0))

    def forward(self, body: bytes | None = None) -> Reply:
        """Lets the engine do it, and waits for its answer."""
        line = HTTPConnection(*self._address, timeout=130)
        try:
            line.request(self.method, self.path, self.body if body is None else body, self.headers)
            answer = line.getresponse()
            return Reply(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            line.close()

    def forward_half(self) -> None:
        """The engine gets half of the request, and then nothing any more."""
        told = {**self.headers, "host": "engine", "content-length": str(len(self.body))}
        head = "\r\n".join([f"{self.method} {self.path} HTTP/1.1", *(f"{n}: {v}" for n, v in told.items()), "", ""])
        with socket.create_connection(self._address, 10) as line:
            line.sendall(head.encode() + self.body[: len(self.body) // 2])

    def answer(self, reply: Reply, *, share: float = 1.0) -> None:
        """The client gets the answer, or its first part and then nothing any more."""
        self._handler.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if name.lower() not in _OF_THE_LINE:
                self._handler.send_header(name, value)
        self._handler.send_header("content-length", str(len(reply.body)))
        self._handler.end_headers()
        if self.method != "HEAD":
            self._handler.wfile.write(reply.body[: int(len(reply.body) * share)])
        if share < 1.0:
            self.cut()

    def cut(self) -> None:
        """The client's connection is reset."""
        self._handler.close_connection = True
        with suppress(OSError):
            self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Fault = Callable[[Exchange], None]


def passing(exchange: Exchange) -> None:
    """No fault."""
    exchange.answer(exchange.forward())


def cut_before(exchange: Exchange) -> None:
    """The connection is cut before the engine saw anything."""
    exchange.cut()


def cut_inside(exchange: Exchange) -> None:
    """The connection is cut in the middle of the request."""
    exchange.forward_half()
    exchange.cut()


def cut_after(exchange: Exchange) -> None:
    """The engine did everything, and the answer was lost."""
    exchange.forward()
    exchange.cut()


def late_before(exchange: Exchange) -> None:
    """The request never arrives, and nobody says so: the client's time runs out."""
    time.sleep(PATIENCE_SECONDS + 1.0)
    exchange.cut()


def late_after(exchange: Exchange) -> None:
    """The engine did everything, and the client's time runs out before the answer comes."""
    exchange.forward()
    late_before(exchange)


def half_answered(exchange: Exchange) -> None:
    """The engine did everything, and half of the answer was lost."""
    exchange.answer(exchange.forward(), share=0.5)


def answering(status: int) -> Fault:
    """The request is turned away: 429, 503, 413."""
    body = json.dumps({"error": {"type": "planned", "reason": "planned"}, "status": status}).encode()
    reply = Reply(status, body, {"content-type": "application/json", "x-elastic-product": "Elasticsearch"})
    return lambda exchange: exchange.answer(reply)


def half_busy(exchange: Exchange) -> None:
    """Of a bulk request of documents every second one is turned away (429), the others are done."""
    lines = exchange.body.splitlines()
    kept = [line for at in range(0, len(lines), 4) for line in lines[at : at + 2]]
    reply = exchange.forward(b"\n".join(kept) + b"\n")
    told: dict[str, Any] = json.loads(reply.body)
    done = iter(told["items"])
    late = {"index": {"status": 429, "error": {"type": "planned", "reason": "planned"}}}
    items = [next(done) if at % 2 == 0 else late for at in range(len(lines) // 2)]
    exchange.answer(replace(reply, body=json.dumps({**told, "errors": True, "items": items}).encode()))


class FaultProxy:
    """Listens at `url`; `seen` holds `METHOD /path` of every request, `engine_url` may be changed at any time."""

    def __init__(self, engine_url: str) -> None:
        self.engine_url = engine_url
        self.seen: list[str] = []
        self._planned: list[tuple[re.Pattern[str], list[Fault | None]]] = []
        self._lock = Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                exchange = Exchange(self, urlsplit(proxy.engine_url))
                try:
                    proxy._fault(f"{self.command} {self.path}")(exchange)
                except (OSError, HTTPException):
                    # the engine is not there, or the client went away: nobody waits for an answer
                    exchange.cut()

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                """The test says what went wrong."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that was killed leaves in the middle of a sentence."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def plan(self, what: str, *faults: Fault | None) -> None:
        """The next requests whose `METHOD /path` begins with this pattern meet the faults in turn; None: none."""
        with self._lock:
            self._planned.append((re.compile(what), list(faults)))

    def _fault(self, line: str) -> Fault:
        with self._lock:
            self.seen.append(line)
            for pattern, faults in self._planned:
                if faults and pattern.match(line):
                    return faults.pop(0) or passing
        return passing

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)


@contextmanager
def fault_proxy(engine_url: str) -> Iterator[FaultProxy]:
    """A proxy at a free port of this machine."""
    proxy = FaultProxy(engine_url)
    thread = Thread(target=proxy._serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy._server.shutdown()
        thread.join()
        proxy._server.server_close()
