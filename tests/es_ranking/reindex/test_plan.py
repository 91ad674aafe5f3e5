"""What a reindex would do, told before anything is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from es_ranking.engine.contract import Disk, Engine, IndexSize
from es_ranking.engine.errors import IndexMissing
from es_ranking.publish.begin import begin
from es_ranking.publish.delta import plan_delta
from es_ranking.publish.finish import finish
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.write import WriteReport
from es_ranking.reindex.plan import ReindexPlan, begun_reindex, plan_reindex
from es_ranking.reindex.settings import ReindexSettings
from segments.errors import RankingError, Refused
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.shop import ITEMS, NIGHT, SETTINGS, Publisher, plan_for

HOW = ReindexSettings(requests_per_second=8.0, slices=2)
ANALYSIS = {"analyzer": {"loud": {"type": "custom", "tokenizer": "standard", "filter": ["uppercase"]}}}
WANTED = SETTINGS.model_copy(
    update={
        "shards": 3,
        "keyword_attributes": ("colour",),
        "analysis": ANALYSIS,
        "properties": {"title": {"type": "text", "analyzer": "loud"}, "stock": {"type": "integer"}},
    }
)


@pytest.fixture
def shop(published: Publisher, index_name: str) -> str:
    published(NIGHT)
    return index_name


def test_the_same_once_more_changes_nothing(engine: Engine, shop: str) -> None:
    plan = plan_reindex(engine, shop, settings=HOW)
    assert plan.publish.generation == f"{shop}-{NIGHT.lower()}-2"
    assert plan.source == f"{shop}-{NIGHT.lower()}-1"
    assert plan.differences == {}
    assert (plan.publish.documents, plan.publish.users, plan.attributes) == (ITEMS, 2, ())
    assert plan.publish.seconds == 1 + round(ITEMS / 8)
    assert plan.settled == {"replicas": 0, "refresh_interval": "1s"}
    # The settings it was published with change nothing either.
    assert plan_reindex(engine, shop, wanted=SETTINGS, settings=HOW).differences == {}
    assert [state.name for state in engine.indices(f"{shop}*")] == sorted(
        f"{shop}{side}-{NIGHT.lower()}-1" for side in ("", "-why", "-users")
    )


def test_what_the_settings_name_is_laid_over_and_all_else_stays(engine: Engine, shop: str) -> None:
    engine.put_mapping(shop, {"properties": {"owners_own": {"type": "keyword"}}})
    plan = plan_reindex(engine, shop, wanted=WANTED, settings=HOW)
    body = plan.publish.bodies[shop]
    properties = body["mappings"]["properties"]
    assert properties["title"] == {"type": "text", "analyzer": "loud"}
    assert properties["colour"] == {"type": "keyword", "ignore_above": 1024}
    assert properties["owners_own"] == {"type": "keyword"}
    assert properties["rank"] == engine.get_mapping(shop)["properties"]["rank"]
    assert plan.attributes == ("colour",)
    assert body["settings"]["index.number_of_shards"] == 3
    assert body["settings"]["index.analysis.analyzer.loud.filter"] == ["uppercase"]
    assert set(plan.differences) == {
        "colour", "index.number_of_shards", "stock", "title", "index.analysis.analyzer.loud.type",
        "index.analysis.analyzer.loud.tokenizer", "index.analysis.analyzer.loud.filter",
    }  # fmt: skip
    assert plan.differences["index.number_of_shards"] == "1 -> 3"
    assert plan_reindex(engine, shop, wanted=WANTED, shards=2, settings=HOW).publish.bodies[shop]["settings"][
        "index.number_of_shards"
    ] == 2  # fmt: skip


def test_the_plan_is_kept_in_the_index_it_creates(engine: Engine, shop: str) -> None:
    assert begun_reindex(engine, shop) is None
    plan = plan_reindex(engine, shop, wanted=WANTED, settings=HOW)
    begin(engine, plan.publish)
    kept = begun_reindex(engine, shop)
    assert kept is not None
    assert replace(kept, publish=replace(kept.publish, bodies={})) == replace(
        plan, publish=replace(plan.publish, bodies={})
    )
    assert kept.summary() == plan.summary()
    with pytest.raises(Refused, match="--resume"):
        plan_reindex(engine, shop, settings=HOW)


def test_a_copy_of_an_hour_can_be_copied(engine: Engine, shop: str) -> None:
    """What the engine notes of a clone (where it came from) is not handed down."""
    hour = plan_delta(engine, shop, run="20171127T010000", as_of="2017-11-27T01:00:00+00:00", written=0, added=0,
                      removed=0)  # fmt: skip
    begin(engine, hour)
    finish(engine, hour, SETTINGS, report=WriteReport())
    plan = plan_reindex(engine, shop, settings=HOW)
    assert plan.source == hour.generation
    assert plan.differences == {}
    begin(engine, plan.publish)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        pytest.param({"field_limit": 10, "properties": {f"f{n}": {"type": "keyword"} for n in range(1000)}}, "fields",
                     id="fields"),
        pytest.param({"properties": {"rank": {"type": "double"}}}, "stays as it is", id="rank"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be(engine: Engine, shop: str, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(RankingError, match=says):
        plan_reindex(engine, shop, wanted=SETTINGS.model_copy(update=asked), settings=HOW)


def test_no_room_nothing_published_and_a_publish_under_way(engine: Engine, shop: str) -> None:
    class Full(FaultyEngine):
        def disk(self) -> Disk:
            return Disk(free=10, total=1000)

    with pytest.raises(Refused, match="not enough disk"):
        plan_reindex(Full(engine), shop, wanted=PublishSettings(), settings=HOW)  # type: ignore[arg-type]
    with pytest.raises(IndexMissing):
        plan_reindex(engine, f"{shop}-none", settings=HOW)
    begin(engine, plan_for(engine, shop, "20171128T000000"))
    with pytest.raises(Refused, match="is being written"):
        plan_reindex(engine, shop, settings=HOW)


def test_a_plan_is_a_value(engine: Engine, shop: str) -> None:
    class Still(FaultyEngine):
        """What else lies on the disk comes and goes, and the engine measures an index's bytes now and then."""

        def disk(self) -> Disk:
            return Disk(free=10**12, total=10**13)

        def size(self, index: str) -> IndexSize:
            return IndexSize(100, 10**6)

    still = Still(engine)
    plan = plan_reindex(still, shop, settings=HOW)  # type: ignore[arg-type]
    assert plan == plan_reindex(still, shop, settings=HOW)  # type: ignore[arg-type]
    told = plan.summary()
    assert told["requests_per_second"] == 8.0
    assert {"generation", "replaces", "differences", "bytes_needed", "max_block_seconds"} <= set(told)
    assert isinstance(plan, ReindexPlan)
