"""The service in front of a secured engine: TLS verified, a searcher's key, and nothing that the key may not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from es_ranking.engine.contract import BulkAction
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.transport import EngineConfig
from es_ranking.policy.document import Policy
from es_ranking.policy.store import PolicyStore
from es_ranking.scripts.store import put_scripts
from tests.es_ranking.query.shop import NOON, open_shop
from tests.es_ranking.roles.keys import ask, key_of
from tests.es_ranking.serve.process import serving

ALIAS, SECRET = "t-over-tls", "t-secret"
ASKED = {"query": {"terms": {"list": ["SOUP", "TEA", "RICE"]}}, "size": 4}


@pytest.fixture
def admin(secured: EngineConfig) -> Iterator[RestEngine]:
    engine = RestEngine(secured)
    open_shop(engine, ALIAS)
    put_scripts(engine)
    store = PolicyStore(engine, ALIAS)
    policy = Policy.of({"campaigns": [{"name": "front", "pins": [{"item": "p007", "slot": 2}]}]})
    store.put(store.next(policy, by="root", at=NOON))
    engine.create_index(SECRET, {})
    engine.bulk([BulkAction(SECRET, "1", {"lists": ["SOUP"]})], refresh=True)
    yield engine
    for state in engine.indices(f"{ALIAS}-*,{SECRET}"):
        engine.delete_index(state.name)
    engine.close()


def test_a_searchers_key_serves(secured: EngineConfig, admin: RestEngine, tmp_path: Path) -> None:
    key = key_of(secured, "searcher", ALIAS)
    assert key.api_key is not None
    assert key.ca_certs is not None
    environment = {"ES_URL": key.url, "ES_API_KEY": key.api_key, "ES_CA_CERTS": key.ca_certs}
    with serving(ALIAS, tmp_path, **environment) as url, httpx.Client(base_url=url) as client:

        def search(body: dict[str, Any], **headers: str) -> httpx.Response:
            return client.post(f"/{ALIAS}/_search", json=body, headers=headers)

        health = client.get("/_health").json()
        assert health["status"] == "ok"
        page = search({**ASKED, "sort": "recommended"}, **{"x-es-ranking-user": "ann"}).json()
        assert page["hits"]["hits"][1]["_id"] == "p007"
        assert (page["es_ranking"]["policy"], page["es_ranking"]["flags"]) == (1, [])
        assert page["es_ranking"]["segment"] == "d_young"
        passed = search(ASKED)
        assert passed.json()["hits"] == admin.search(ALIAS, ASKED)["hits"]
        # The service asks with its own key, whatever a caller sends along, and that key sees nothing else.
        stranger = search(ASKED, authorization="ApiKey bm9ib2R5OmNhcnJpZXMtdGhpcw==")
        assert stranger.json()["hits"] == passed.json()["hits"]
        elsewhere = {"query": {"terms": {"list": {"index": SECRET, "id": "1", "path": "lists"}}}}
        assert search(elsewhere).status_code == 403
        assert search({**elsewhere, "sort": "recommended"}).status_code == 502
        event = {"event_id": "e", "ts": datetime.now(UTC).isoformat(), "user_id": "ann", "item_id": "p1",
                 "kind": "click"}  # fmt: skip
        assert client.post("/_events", json=event).json()["accepted"] == 1
        # A key that is taken back while it serves: its holder is told nothing but that it is the service's fault.
        assert ask(secured, "DELETE", "/_security/api_key", {"name": f"es-ranking-searcher-{ALIAS}"}).status == 200
        denied = search({**ASKED, "sort": "recommended"}, **{"x-es-ranking-user": "bob"})
        assert denied.status_code == 502
        assert client.get("/_health").status_code == 503
    shown = (tmp_path / "log").read_text()
    assert "Traceback" not in shown
    for secret in (key.api_key, "bm9ib2R5OmNhcnJpZXMtdGhpcw"):
        assert secret not in shown
