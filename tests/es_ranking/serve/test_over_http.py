"""The command as a process: the official client only gets another address, and a stop finishes the event log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from es_ranking.engine.contract import Engine
from es_ranking.query import recommended
from es_ranking.twiddlers.settings import load_surface
from tests.es_ranking.query.shop import open_shop

ALIAS = "t-over-http"


@pytest.fixture
def shop(engine: Engine) -> Iterator[str]:
    open_shop(engine, ALIAS)
    yield ALIAS
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


def test_the_official_client_speaks_to_it(engine: Engine, engine_url: str, shop: str, tmp_path: Path) -> None:
    if engine.product != "elasticsearch":
        return
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "log").open("w+")
    served = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve", shop, "--port", str(port), "--events", str(tmp_path / "events")],
        env={**os.environ, "ES_URL": engine_url, "ES_RANKING_CURSOR_KEY": "a key of sixteen or more"}, stderr=log,
    )  # fmt: skip
    client = Elasticsearch(f"http://127.0.0.1:{port}", max_retries=0)
    try:
        _wait_for(port, served)
        cheap = client.search(index=shop, query={"match_all": {}}, sort="price:asc", size=3)
        own = engine.search(shop, {"query": {"match_all": {}}, "sort": [{"price": "asc"}], "size": 3})
        assert cheap["hits"] == own["hits"]
        asked = client.options(headers={"x-es-ranking-user": "ann"})
        page = asked.search(index=shop, query={"match_all": {}}, sort="recommended", size=5)
        own_page = recommended(engine, shop, {"size": 5}, user="ann", surface=load_surface("search"))
        assert [hit["_id"] for hit in page["hits"]["hits"]] == own_page.items
        assert page["es_ranking"]["segment"] == "d_young"
        with pytest.raises(NotFoundError, match="not served here"):
            client.search(index="another")
        with pytest.raises(BadRequestError, match="cannot be combined"):
            client.search(index=shop, sort="recommended", search_after=[1])
        event = {
            "event_id": "e",
            "ts": datetime.now(UTC).isoformat(),
            "user_id": "ann",
            "item_id": "p1",
            "kind": "click",
        }
        told = client.perform_request(
            "POST", "/_events", body=[event], headers={"content-type": "application/json", "accept": "application/json"}
        )
        assert told["accepted"] == 1
    finally:
        client.close()
        served.send_signal(signal.SIGTERM)
        served.wait(20)
        log.seek(0)
        shown = log.read()
        log.close()
    (file,) = (tmp_path / "events").glob("events-*.jsonl")
    assert json.loads(file.read_text())["event_id"] == "e"
    assert "POST search 200" in shown
    assert "Traceback" not in shown
    assert "ann" not in shown


def _wait_for(port: int, served: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert served.poll() is None, "the service ended"
        with closing(socket.socket()) as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the service does not listen")
