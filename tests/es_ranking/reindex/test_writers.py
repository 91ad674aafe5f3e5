"""Owners who never stop writing, while the index under them is copied: not one write and not one deletion is lost."""

from __future__ import annotations

from typing import Any

import pytest

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish import catch_up
from es_ranking.publish.catch_up import too_many, with_attributes
from es_ranking.publish.locally import publish
from es_ranking.reindex.plan import plan_reindex
from es_ranking.reindex.run import reindex
from es_ranking.reindex.settings import ReindexSettings
from es_ranking.scripts.store import ATTRIBUTES, put_scripts
from tests.es_ranking.publish.owners import Owner, at_work
from tests.es_ranking.publish.shop import NIGHT, SETTINGS, documents, plan_for, users

ITEMS, OWNERS = 1_500, 3


@pytest.mark.parametrize("shards", [1, 3])
def test_no_write_and_no_deletion_is_lost(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    monkeypatch.setattr(catch_up, "_SMALLEST_PART", 100)
    monkeypatch.setattr(catch_up, "_PAGE", 50)
    settings = SETTINGS.model_copy(update={"shards": shards, "batch_documents": 500})
    plan = plan_for(engine, index_name, NIGHT, settings=settings, documents=ITEMS)
    publish(engine, plan, documents=documents(items=ITEMS), users=users(), settings=settings)
    whole: dict[str, Any] = dict(documents(items=ITEMS))
    owners = [
        Owner(engine, index_name, number, {name: whole[name] for at, name in enumerate(whole) if at % OWNERS == number})
        for number in range(OWNERS)
    ]
    for owner in owners:
        owner.start()
    with at_work(owners):
        how = ReindexSettings(requests_per_second=1_000.0, max_block_seconds=60.0)
        wanted = settings.model_copy(update={"keyword_attributes": ("colour",), "shards": 2})
        plans = plan_reindex(engine, index_name, wanted=wanted, settings=how)
        done = reindex(engine, plans, publish=wanted, resume=False)
    assert done.followed.caught_up > 0
    assert done.followed.deleted > 0
    engine.refresh(index_name)
    assert engine.get_alias(index_name) == [done.generation]
    expected = {name: document for owner in owners for name, document in owner.held.items() if document is not None}
    found: dict[str, Any] = {}
    for query in catch_up.parted(engine, index_name):
        hits = engine.search(index_name, {"size": 1000, "query": query})["hits"]["hits"]
        found |= {hit["_id"]: hit["_source"] for hit in hits}
    # Who wrote after the switch knows nothing of the new field.
    for document in found.values():
        document.pop("colour", None)
    assert found == expected
    assert engine.count(index_name) == len(expected)


def test_what_the_copy_has_too_many_is_found_where_counts_differ(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "_SMALLEST_PART", 10)
    mapping = {"properties": {"item_id": {"type": "keyword"}}}
    names = [f"i{n:03d}" for n in range(95)]
    for index, missing in ((f"{index_name}-1", {"i010", "i011", "i094"}), (f"{index_name}-2", {"i050"})):
        engine.create_index(index, {"mappings": mapping})
        actions = [BulkAction(index, name, {"item_id": name}) for name in names if name not in missing]
        engine.bulk(actions, refresh=True)
    parts = catch_up.parted(engine, f"{index_name}-2")
    assert len(parts) == 11
    assert sum(catch_up.counts(engine, f"{index_name}-2", parts)) == 94
    assert too_many(engine, f"{index_name}-2", f"{index_name}-1", parts) == ["i010", "i011", "i094"]
    assert too_many(engine, f"{index_name}-1", f"{index_name}-2", parts) == ["i050"]
    assert too_many(engine, f"{index_name}-1", f"{index_name}-1", parts) == []


def test_attributes_become_fields_alike_in_the_engine_and_here(engine: Engine, index_name: str) -> None:
    put_scripts(engine)
    mapping = {"dynamic": False, "properties": {"colour": {"type": "keyword"}}}
    engine.create_index(f"{index_name}-1", {"mappings": mapping})
    engine.create_index(f"{index_name}-2", {"mappings": mapping, "aliases": {f"{index_name}-writing": {}}})
    given: list[dict[str, Any]] = [
        {"attributes": {"colour": "red", "size": 4, "other": True}},
        {"attributes": {"colour": None}, "price": 1.0},
        {"attributes": {}},
        {"attributes": None},
        {"price": 2.0},
        {"attributes": {"colour": ["red", "blue"], "size": 0}, "colour": "as it was"},
    ]
    engine.bulk([BulkAction(f"{index_name}-1", str(n), one) for n, one in enumerate(given)], refresh=True)
    script = {"id": ATTRIBUTES.id, "params": {"names": ["colour", "size"]}}
    task = engine.start_reindex(f"{index_name}-1", f"{index_name}-writing", script=script)
    while (state := engine.copying(task)) is not None and not state.done:
        pass
    assert state is not None
    assert state.failure is None
    expected = [with_attributes(one, ["colour", "size"]) for one in given]
    assert engine.mget(f"{index_name}-2", [str(n) for n in range(len(given))]) == expected
