"""The plan is a value, says everything, changes nothing, and refuses what cannot work."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from es_ranking.engine.contract import Disk, Engine
from es_ranking.publish.begin import begin
from es_ranking.publish.generation import Generation, serving_meta
from es_ranking.publish.plan import PublishPlan
from segments.errors import ContractBroken, RankingError, Refused, UsageError
from tests.es_ranking.publish.shop import ITEMS, NIGHT, SETTINGS, Publisher, plan_for

NEXT_NIGHT = "20171128T000000"


class FullDisk:
    """The engine, on a disk that is nearly full."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def disk(self) -> Disk:
        return Disk(free=10_000, total=1_000_000)


def test_the_first_plan(engine: Engine, index_name: str) -> None:
    plan = plan_for(engine, index_name, NIGHT)
    told = plan.summary()
    assert told["generation"] == f"{index_name}-{NIGHT.lower()}-1"
    assert told["replaces"] is None
    assert (told["documents"], told["users"], told["rank_fields"]) == (ITEMS, 2, 4)
    assert told["indices"] == {
        index_name: plan.generation,
        f"{index_name}-why": f"{index_name}-why-{NIGHT.lower()}-1",
        f"{index_name}-users": f"{index_name}-users-{NIGHT.lower()}-1",
    }
    assert engine.indices(f"{index_name}*") == []


def test_analysers_and_fields_of_the_owner(engine: Engine, index_name: str, published: Publisher) -> None:
    analysis = {"analyzer": {"loud": {"type": "custom", "tokenizer": "standard", "filter": ["uppercase"]}}}
    further = {"title": {"type": "text", "analyzer": "loud"}, "stock": {"type": "integer"}}
    published(NIGHT, settings=SETTINGS.model_copy(update={"analysis": analysis, "properties": further}))
    assert engine.count(index_name, {"term": {"title": "ITEM"}}) == ITEMS
    assert engine.get_mapping(index_name)["properties"]["stock"] == {"type": "integer"}


def test_a_plan_travels_as_json_and_compares(engine: Engine, index_name: str) -> None:
    plan = plan_for(engine, index_name, NIGHT)
    assert PublishPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan_for(engine, index_name, NIGHT, users=3) != plan


def test_the_next_plan_says_what_goes(engine: Engine, index_name: str, published: Publisher) -> None:
    first = published(NIGHT)
    begin(engine, plan_for(engine, index_name, NIGHT))
    plan = plan_for(engine, index_name, NEXT_NIGHT, settings=SETTINGS.model_copy(update={"keep_generations": 1}))
    assert plan.replaces == first.generation
    assert plan.sweeps == (f"{index_name}-{NIGHT.lower()}-2",)
    assert plan.retires == (first.generation,)
    assert "newer than the serving run" in plan.why


def test_nothing_to_publish(engine: Engine, index_name: str) -> None:
    with pytest.raises(ContractBroken, match="not one document"):
        plan_for(engine, index_name, NIGHT, documents=0)


def test_no_disk_space(engine: Engine, index_name: str) -> None:
    with pytest.raises(Refused, match="not enough disk") as refused:
        plan_for(FullDisk(engine), index_name, NIGHT)  # type: ignore[arg-type]
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("alias", ["Products", "pro ducts", "*", "-products", "a,b", ""])
def test_names_no_alias_can_have(alias: str) -> None:
    with pytest.raises(UsageError):
        Generation(NIGHT, 1, alias)


def test_a_run_that_is_none() -> None:
    with pytest.raises(UsageError, match="not a run"):
        Generation("2017-11-27", 1, "products")


def test_generations_are_ordered_by_run_then_number() -> None:
    ordered = [Generation(NIGHT, 2, "a"), Generation(NIGHT, 10, "a"), Generation(NEXT_NIGHT, 1, "a")]
    assert all(earlier < later for earlier, later in pairwise(ordered))


def test_an_index_that_is_not_ours(engine: Engine, index_name: str) -> None:
    with pytest.raises(RankingError, match="nothing is published"):
        serving_meta(engine, index_name)
    engine.create_index(index_name, {})
    with pytest.raises(ContractBroken, match="not published by es-ranking"):
        serving_meta(engine, index_name)
