"""Field names and mappings, compared whole; and the field budget, in words and on a real node."""

from __future__ import annotations

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineRejected
from es_ranking.schema import (
    checked_limit,
    count_fields,
    flat_settings,
    laid_over,
    main_mapping,
    rank_field,
    rank_fields,
    side_mapping,
)
from segments.errors import Refused, UsageError
from tests.es_ranking.publish.shop import CATALOGUE, NIGHT, SETTINGS, plan_for


def test_the_rank_fields_of_a_catalogue() -> None:
    assert rank_fields(CATALOGUE) == {"A": ["all"], "B": ["all", "d_young", "d_old"]}


@pytest.mark.parametrize(
    ("variant", "segment"), [("B.", "all"), ("", "all"), ("B", "D_35"), ("B", "a.b"), ("é", "all")]
)
def test_names_that_would_break_a_field(variant: str, segment: str) -> None:
    with pytest.raises(UsageError):
        rank_field(variant, segment)


def test_the_mapping_whole() -> None:
    keyword = {"type": "keyword"}
    short = {"type": "keyword", "ignore_above": 1024}
    assert main_mapping({"A": ["all"]}, default_variant="A", keyword_attributes=["colour"], meta={"m": 1}) == {
        "dynamic": "strict",
        "_meta": {"m": 1},
        "properties": {
            "item_id": keyword,
            "kind": keyword,
            "title": {"type": "text", "fields": {"keyword": short}},
            "text": {"type": "text"},
            "brand_id": keyword,
            "category": keyword,
            "list": keyword,
            "price": {"type": "double"},
            "created_at": {"type": "date"},
            "available": {"type": "boolean"},
            "store_id": keyword,
            "attributes": {"type": "object", "enabled": False},
            "colour": short,
            "rank": {"properties": {"A": {"properties": {"all": {"type": "double"}}}}},
            "recommended": {"type": "alias", "path": "rank.A.all"},
        },
    }


def test_the_owners_fields_are_laid_over_ours() -> None:
    loud = {"type": "text", "analyzer": "loud"}
    stock = {"properties": {"count": {"type": "integer"}}}
    mapping = main_mapping({"A": ["all"]}, default_variant="A", further={"title": loud, "stock": stock})
    plain = main_mapping({"A": ["all"]}, default_variant="A")
    assert mapping["properties"] == {**plain["properties"], "title": loud, "stock": stock}
    below = {"o": {"properties": {"a": {"type": "long"}, "b": {"type": "long"}}}}
    above = {"o": {"properties": {"b": {"type": "double"}}}}
    assert laid_over(below, above) == {"o": {"properties": {"a": {"type": "long"}, "b": {"type": "double"}}}}
    assert laid_over(below, {"o": {"type": "long"}}) == {"o": {"type": "long"}}
    for reserved in ("rank", "item_id", "recommended", "vector"):
        with pytest.raises(UsageError, match="stays as it is"):
            main_mapping({"A": ["all"]}, default_variant="A", further={reserved: stock})


def test_settings_as_the_engine_lists_them() -> None:
    nested = {"index": {"analysis": {"filter": {"x": {"type": "stop", "stopwords": ["a"]}}}, "codec": "default"}}
    assert flat_settings(nested) == {
        "index.analysis.filter.x.type": "stop",
        "index.analysis.filter.x.stopwords": ["a"],
        "index.codec": "default",
    }


def test_points_of_rank_fields_can_be_left_out() -> None:
    mapping = main_mapping({"A": ["all"]}, default_variant="A", index_ranks=False)
    assert mapping["properties"]["rank"]["properties"]["A"]["properties"]["all"] == {"type": "double", "index": False}


def test_vectors_are_one_field_with_doc_values_where_asked_for() -> None:
    without, with_them = (main_mapping({"A": ["all"]}, default_variant="A", vectors=asked) for asked in (False, True))
    assert with_them["properties"].pop("vector") == {"type": "binary", "doc_values": True}
    assert with_them == without


def test_the_default_variant_must_be_ranked_for_all() -> None:
    with pytest.raises(UsageError, match="unknown default variant 'Z'"):
        main_mapping({"A": ["all"]}, default_variant="Z")


@pytest.mark.parametrize("name", ["price", "rank", "recommended", "vector", "a.b"])
def test_an_attribute_cannot_take_another_field_s_name(name: str) -> None:
    with pytest.raises(UsageError, match="taken or has a dot"):
        main_mapping({"A": ["all"]}, default_variant="A", keyword_attributes=[name])


def test_too_many_fields_are_refused_with_their_counts() -> None:
    mapping = main_mapping({"A": ["all", *(f"b_{n}" for n in range(50))]}, default_variant="A")
    needed = count_fields(mapping)
    assert checked_limit(mapping, limit=needed, may_raise=False) == needed
    assert checked_limit(mapping, limit=needed - 1, may_raise=True) == needed
    with pytest.raises(
        Refused, match=f"needs {needed} fields \\(52 of them for ranks\\), the limit is {needed - 1}"
    ) as refused:
        checked_limit(mapping, limit=needed - 1, may_raise=False)
    assert refused.value.exit_code == 3


def test_we_count_fields_as_the_engine_does(engine: Engine, index_name: str) -> None:
    """With exactly our count as the limit the index is made; with one less the engine refuses it."""
    mapping = main_mapping(rank_fields(CATALOGUE), default_variant="B", keyword_attributes=["colour"])
    needed = count_fields(mapping)
    for limit, fits in ((needed, True), (needed - 1, False)):
        body = {"settings": {"index.mapping.total_fields.limit": limit}, "mappings": mapping}
        if fits:
            engine.create_index(index_name, body)
        else:
            with pytest.raises(EngineRejected, match="Limit of total fields"):
                engine.create_index(f"{index_name}-2", body)


def test_a_publish_over_the_limit_changes_nothing(engine: Engine, index_name: str) -> None:
    with pytest.raises(Refused, match="the limit is 12"):
        plan_for(engine, index_name, NIGHT, settings=SETTINGS.model_copy(update={"field_limit": 12}))
    assert engine.indices(f"{index_name}*") == []


def test_side_indices_keep_their_source_only() -> None:
    payload = {"type": "object", "enabled": False}
    assert side_mapping("ranks") == {"dynamic": "strict", "_meta": {}, "properties": {"ranks": payload}}
