"""Templates as the engine takes them: an index made by hand maps its fields as what serves does."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cli.main import exit_code_of
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.engine.errors import IndexMissing
from es_ranking.templates import component_name, component_template, index_template
from segments.errors import UsageError
from tests.es_ranking.publish.shop import NIGHT, SETTINGS, Publisher, documents, top

ANALYSIS = {"analyzer": {"loud": {"type": "custom", "tokenizer": "standard", "filter": ["uppercase"]}}}


@pytest.fixture
def shop(published: Publisher, index_name: str) -> str:
    further = {"title": {"type": "text", "analyzer": "loud"}}
    published(NIGHT, settings=SETTINGS.model_copy(update={"analysis": ANALYSIS, "properties": further}))
    return index_name


def test_an_index_made_by_hand_sorts_by_recommended(
    engine: Engine, engine_url: str, shop: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ES_URL", engine_url)
    name, mine = component_name(shop), f"{shop}_mine"

    def printed(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        assert exit_code_of(["templates", *arguments]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    paths = [f"{engine_url}/_component_template/{name}", f"{engine_url}/_index_template/{name}"]
    bodies = [printed("component", shop), printed("index", shop, "--pattern", f"{shop}_m*")]
    try:
        for path, body in zip(paths, bodies, strict=True):
            assert httpx.put(path, json=body).json() == {"acknowledged": True}
        rows = [
            (doc_id, {**document, "rank": {**document["rank"], "C": {"new": 1.5}}}) for doc_id, document in documents()
        ]
        engine.bulk([BulkAction(mine, *row) for row in rows], refresh=True)
        (served,), (made,) = engine.indices(shop), engine.indices(mine)
        ranks = made.mapping["properties"]["rank"]["properties"]
        assert ranks.pop("C") == {"properties": {"new": {"type": "double"}}}
        assert made.mapping["properties"] == served.mapping["properties"]
        assert top(engine, mine, "recommended") == top(engine, shop, "recommended")
        assert engine.count(mine, {"term": {"title": "ITEM"}}) == len(rows)
    finally:
        for path in reversed(paths):
            httpx.delete(path)


def test_never_for_generations_and_not_of_nothing(engine: Engine, shop: str) -> None:
    for pattern in (f"{shop}-*", f"{shop}-why-2*", "*"):
        with pytest.raises(UsageError, match="generations have names like"):
            index_template(engine, shop, [pattern])
    with pytest.raises(IndexMissing):
        component_template(engine, f"{shop}-none")
