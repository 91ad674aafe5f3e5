"""What every adapter of the engine contract must do, on a real server. Enrol by subclassing."""

from __future__ import annotations

import pickle
import time

import pytest

from es_ranking.engine.contract import BulkAction, Copying, Engine
from es_ranking.engine.errors import Conflict, EngineRejected, IndexMissing
from segments.errors import RankingError

MAPPING = {"dynamic": "strict", "properties": {"n": {"type": "long"}, "word": {"type": "keyword"}}}


class EngineContract:
    """Plain dicts in, plain dicts out, our errors only."""

    @pytest.fixture
    def index(self, engine: Engine, index_name: str) -> str:
        engine.create_index(index_name, {"mappings": MAPPING, "settings": {"index.number_of_replicas": 0}})
        actions = [BulkAction(index_name, str(n), {"n": n, "word": f"w{n % 2}"}) for n in range(5)]
        assert engine.bulk(actions, refresh=True).done == 5
        return index_name

    def test_it_says_who_it_is(self, engine: Engine) -> None:
        assert engine.info()["version"]["number"][0].isdigit()

    def test_search_and_count(self, engine: Engine, index: str) -> None:
        hits = engine.search(index, {"size": 2, "sort": [{"n": "desc"}]})["hits"]["hits"]
        assert [hit["_source"]["n"] for hit in hits] == [4, 3]
        assert engine.count(index) == 5
        assert engine.count(index, {"term": {"word": "w0"}}) == 3

    def test_msearch_keeps_the_order_and_raises_the_first_failure(self, engine: Engine, index: str) -> None:
        answers = engine.msearch([(index, {"query": {"term": {"n": n}}}) for n in (3, 1)])
        assert [answer["hits"]["hits"][0]["_id"] for answer in answers] == ["3", "1"]
        assert engine.msearch([]) == []
        with pytest.raises(IndexMissing):
            engine.msearch([(index, {}), (f"{index}-none", {})])

    def test_documents_by_id(self, engine: Engine, index: str) -> None:
        assert engine.get(index, "2") == {"n": 2, "word": "w0"}
        assert engine.get(index, "nine") is None
        assert engine.mget(index, ["4", "nine", "0"], source=["n"]) == [{"n": 4}, None, {"n": 0}]
        assert engine.mget(index, []) == []
        with pytest.raises(IndexMissing):
            engine.mget(f"{index}-gone", ["4"])
        with pytest.raises(IndexMissing):
            engine.get(f"{index}-none", "1")

    @pytest.mark.parametrize("document", [{"word": "a\ud800b"}, b'{"word":"a\\ud800b"}'], ids=["text", "bytes"])
    def test_half_a_character_pair_comes_and_goes(
        self, engine: Engine, index: str, document: dict[str, str] | bytes
    ) -> None:
        """JSON can hold it and engines keep it, UTF-8 cannot."""
        assert engine.bulk([BulkAction(index, "half", document)], refresh=True).done == 1
        assert engine.get(index, "half") == {"word": "a\ud800b"}
        found = engine.search(index, {"query": {"ids": {"values": ["half"]}}})
        assert found["hits"]["hits"][0]["_source"] == {"word": "a\ud800b"}
        assert engine.get(index, "\ud800") is None
        with pytest.raises(EngineRejected, match="collapse"):
            engine.search(index, {"collapse": {"field": "\ud800"}})

    def test_bulk_tells_each_refused_action(self, engine: Engine, index: str) -> None:
        result = engine.bulk(
            [
                BulkAction(index, "10", {"n": 10}),
                BulkAction(index, "11", {"unknown": 1}),
                BulkAction(index, "12", b'{"n":12}'),
                BulkAction(index, "0", None, "delete"),
                BulkAction(index, "1", {"n": 1}, "create"),
            ],
            refresh=True,
        )
        assert result.done == 3
        assert [(error.position, error.id, error.status) for error in result.errors] == [(1, "11", 400), (4, "1", 409)]
        assert engine.count(index) == 6
        assert engine.bulk([]).done == 0

    def test_bulk_never_creates_what_must_be_an_alias(self, engine: Engine, index: str) -> None:
        result = engine.bulk([BulkAction(f"{index}-late", "1", {"n": 1})], require_alias=True)
        assert [error.status for error in result.errors] == [404]
        assert not engine.exists(f"{index}-late")

    def test_an_index_exists_once(self, engine: Engine, index: str) -> None:
        with pytest.raises(Conflict):
            engine.create_index(index, {})
        engine.delete_index(index)
        assert not engine.exists(index)
        engine.delete_index(index, missing_ok=True)
        with pytest.raises(IndexMissing):
            engine.delete_index(index)

    @pytest.mark.parametrize("pattern", ["*", "_all", "a*", "a,b"])
    def test_only_one_named_index_is_deleted(self, engine: Engine, pattern: str) -> None:
        with pytest.raises(ValueError, match="its own name"):
            engine.delete_index(pattern)

    def test_mapping_and_settings_change(self, engine: Engine, index: str) -> None:
        engine.put_mapping(index, {"_meta": {"who": "us"}, "properties": {"more": {"type": "double"}}})
        mapping = engine.get_mapping(index)
        assert mapping["_meta"] == {"who": "us"}
        assert mapping["properties"]["more"] == {"type": "double"}
        engine.put_settings(index, {"index.refresh_interval": "7s"})
        (state,) = engine.indices(f"{index}*")
        assert state.settings["index.refresh_interval"] == "7s"
        assert engine.indices(f"{index}-none*") == []

    def test_aliases_change_together_or_not_at_all(self, engine: Engine, index: str) -> None:
        alias = f"{index}-alias"
        assert engine.get_alias(alias) == []
        engine.update_aliases([{"add": {"index": index, "alias": alias}}])
        assert engine.get_alias(alias) == [index]
        wrong = {"remove": {"index": index, "alias": f"{index}-other", "must_exist": True}}
        with pytest.raises((IndexMissing, EngineRejected)):
            engine.update_aliases([{"remove": {"index": index, "alias": alias}}, wrong])
        assert engine.get_alias(alias) == [index]

    def test_one_write_index_an_alias(self, engine: Engine, index: str) -> None:
        """What keeps two first publishers from both serving."""
        engine.create_index(f"{index}-2", {})
        engine.update_aliases([{"add": {"index": index, "alias": f"{index}-alias", "is_write_index": True}}])
        with pytest.raises(EngineRejected):
            engine.update_aliases([{"add": {"index": f"{index}-2", "alias": f"{index}-alias", "is_write_index": True}}])

    def test_a_clone_is_open_and_has_settings_of_its_own(self, engine: Engine, index: str) -> None:
        with pytest.raises(RankingError, match=r"index\.blocks\.write"):
            engine.clone_index(index, f"{index}-early", {})
        engine.put_settings(index, {"index.blocks.write": True})
        body = {"settings": {"index.refresh_interval": "-1"}, "aliases": {f"{index}-alias": {}}}
        engine.clone_index(index, f"{index}-2", body)
        with pytest.raises(Conflict):
            engine.clone_index(index, f"{index}-2", body)
        (clone,) = engine.indices(f"{index}-2")
        assert (clone.settings["index.refresh_interval"], list(clone.aliases)) == ("-1", [f"{index}-alias"])
        assert clone.mapping == engine.get_mapping(index)
        actions = [BulkAction(f"{index}-alias", "9", {"n": 9}), BulkAction(f"{index}-alias", "0", None, "delete")]
        assert engine.bulk(actions, refresh=True, require_alias=True).done == 2
        assert (engine.count(f"{index}-2"), engine.count(index)) == (5, 5)
        assert engine.get(f"{index}-2", "0") is None
        assert [error.status for error in engine.bulk([BulkAction(index, "9", {"n": 9})]).errors] == [403]

    def test_closed_to_writes_until_it_is_opened(self, engine: Engine, index: str) -> None:
        engine.close_to_writes(index)
        engine.close_to_writes(index)
        late = [BulkAction(index, "9", {"n": 9}), BulkAction(index, "0", None, "delete")]
        assert [error.status for error in engine.bulk(late).errors] == [403, 403]
        engine.refresh(index)
        assert engine.count(index) == 5
        engine.put_settings(index, {"index.blocks.write": None})
        assert engine.bulk(late).done == 2
        (state,) = engine.indices(index)
        assert state.settings.get("index.blocks.write") != "true"

    def test_what_was_written_since(self, engine: Engine, index_name: str) -> None:
        engine.create_index(index_name, {"mappings": MAPPING, "settings": {"index.number_of_shards": 2}})
        engine.bulk([BulkAction(index_name, str(n), {"n": n}) for n in range(20)], refresh=True)
        before = engine.checkpoints(index_name)
        assert sum(before.values()) == 20 - 2
        assert engine.checkpoints(index_name) == before
        later = [
            BulkAction(index_name, "3", {"n": 33}),
            BulkAction(index_name, "new", {"n": 99}),
            BulkAction(index_name, "5", None, "delete"),
        ]
        engine.bulk(later, refresh=True)
        assert sum(engine.checkpoints(index_name).values()) == sum(before.values()) + 3
        found = []
        for shard, last in before.items():
            body = {"query": {"range": {"_seq_no": {"gt": last}}}, "sort": [{"_seq_no": "asc"}]}
            hits = engine.search(index_name, body, preference=f"_shards:{shard}")["hits"]["hits"]
            found += [hit["_source"]["n"] for hit in hits]
        assert sorted(found) == [33, 99]

    @staticmethod
    def awaited(engine: Engine, task: str) -> Copying:
        for _ in range(200):
            state = engine.copying(task)
            assert state is not None
            if state.done:
                return state
            time.sleep(0.05)
        raise AssertionError("it never ends")

    @pytest.fixture
    def copy(self, engine: Engine, index: str) -> str:
        alias = f"{index}-copy-writing"
        engine.create_index(f"{index}-copy", {"mappings": MAPPING, "aliases": {alias: {}}})
        return alias

    def test_the_engine_copies_what_is_missing(self, engine: Engine, index: str, copy: str) -> None:
        engine.put_script(f"{index}-script", "ctx._source.word = params.word")
        engine.bulk([BulkAction(copy, "2", {"n": 22})], refresh=True)
        script = {"id": f"{index}-script", "params": {"word": "copied"}}
        state = self.awaited(engine, engine.start_reindex(index, copy, slices=2, script=script))
        assert (state.documents, state.total, state.failure) == (5, 5, None)
        engine.refresh(copy)
        assert engine.mget(copy, ["0", "2"]) == [{"n": 0, "word": "copied"}, {"n": 22}]
        assert engine.count(copy) == 5

    def test_a_copying_is_found_and_hurried(self, engine: Engine, index: str, copy: str) -> None:
        assert engine.reindexing(copy) is None
        task = engine.start_reindex(index, copy, requests_per_second=0.05)
        assert engine.reindexing(copy) == task
        slow = engine.copying(task)
        assert slow is not None
        assert not slow.done
        engine.rethrottle(task, None)
        assert self.awaited(engine, task).failure is None
        assert engine.reindexing(copy) is None
        assert engine.copying(task.rpartition(":")[0] + ":987654321") is None

    def test_a_copying_that_fails_says_why(self, engine: Engine, index: str, copy: str) -> None:
        engine.put_mapping(index, {"properties": {"more": {"type": "double"}}})
        engine.bulk([BulkAction(index, "6", {"n": 6, "more": 1.5})], refresh=True)
        failed = self.awaited(engine, engine.start_reindex(index, copy))
        assert failed.failure is not None
        assert "more" in failed.failure
        assert failed.refused == "6"

    def test_a_copying_never_creates_what_must_be_an_alias(self, engine: Engine, index: str) -> None:
        assert self.awaited(engine, engine.start_reindex(index, f"{index}-late")).failure
        assert not engine.exists(f"{index}-late")

    def test_a_field_alias_sorts_and_can_be_pointed_elsewhere(self, engine: Engine, index: str) -> None:
        engine.put_mapping(index, {"properties": {"recommended": {"type": "alias", "path": "n"}}})
        body = {"sort": [{"recommended": "desc"}, {"n": "asc"}]}
        assert [hit["_id"] for hit in engine.search(index, body)["hits"]["hits"]] == ["4", "3", "2", "1", "0"]
        engine.put_mapping(index, {"properties": {"recommended": {"type": "alias", "path": "word"}}})
        assert [hit["_id"] for hit in engine.search(index, body)["hits"]["hits"]] == ["1", "3", "0", "2", "4"]

    def test_a_page_after_a_hit(self, engine: Engine, index: str) -> None:
        body = {"size": 2, "sort": [{"word": "asc"}, {"n": "desc"}], "search_after": ["w0", 2]}
        assert [hit["_id"] for hit in engine.search(index, body)["hits"]["hits"]] == ["0", "3"]

    def test_what_a_sort_does_not_find_comes_last(self, engine: Engine, index: str) -> None:
        engine.bulk([BulkAction(index, "5", {"word": "w9"})], refresh=True)
        unknown = {"rank.none": {"order": "desc", "missing": "_last", "unmapped_type": "double"}}
        plan = {"sort": [unknown, {"n": {"order": "desc", "missing": "_last"}}], "stored_fields": "_none_"}
        hits = engine.search(index, {**plan, "docvalue_fields": ["word"]})["hits"]["hits"]
        assert [hit["fields"]["word"][0] for hit in hits] == ["w0", "w1", "w0", "w1", "w0", "w9"]
        assert all("_source" not in hit for hit in hits)
        never = {"_script": {"type": "number", "script": "Double.NEGATIVE_INFINITY"}}
        assert engine.search(index, {"size": 1, "sort": [never]})["hits"]["hits"][0]["sort"] == ["-Infinity"]

    def test_more_fields_than_the_limit_are_refused(self, engine: Engine, index: str) -> None:
        engine.put_settings(index, {"index.mapping.total_fields.limit": 3})
        engine.put_mapping(index, {"properties": {"third": {"type": "alias", "path": "n"}}})
        with pytest.raises(EngineRejected, match="Limit of total fields"):
            engine.put_mapping(index, {"properties": {"fourth": {"type": "double"}}})

    def test_scripts_are_stored(self, engine: Engine, index: str) -> None:
        assert engine.get_script(f"{index}-script") is None
        engine.put_script(f"{index}-script", "return 1")
        assert engine.get_script(f"{index}-script") == "return 1"

    def test_a_rejected_query_says_why(self, engine: Engine, index: str) -> None:
        with pytest.raises(EngineRejected, match="No field found"):
            engine.search(index, {"sort": {"_script": {"type": "number", "script": "doc['none'].value"}}})

    def test_sizes_and_health(self, engine: Engine, index: str) -> None:
        size = engine.size(index)
        assert size.documents == 5
        assert size.bytes > 0
        assert engine.health(index, wait_for="yellow", timeout_seconds=5) in {"yellow", "green"}
        disk = engine.disk()
        assert disk is None or 0 < disk.free <= disk.total

    def test_it_travels_to_another_process(self, engine: Engine, index: str) -> None:
        copy = pickle.loads(pickle.dumps(engine))
        assert copy.count(index) == 5
        copy.close()
