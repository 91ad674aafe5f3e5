"""Published rows to a page: what the publisher writes is what the query side reads, switch and rollback included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import Engine
from es_ranking.publish.locally import publish
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.query import recommended
from es_ranking.query.audience import Audience
from es_ranking.query.explain import explain
from es_ranking.query.exposures import propensities
from es_ranking.twiddlers.settings import load_surface
from tests.es_ranking.publish.shop import SETTINGS, documents, plan_for, reasons, users

NOON = datetime(2017, 11, 27, 12, tzinfo=UTC)


def _night(engine: Engine, alias: str, run: str, turn: int) -> None:
    plan = plan_for(engine, alias, run)
    publish(engine, plan, documents=documents(turn=turn), reasons=reasons(), users=users(), settings=SETTINGS)


def test_a_night_is_published_searched_switched_and_rolled_back(engine: Engine, index_name: str) -> None:
    _night(engine, index_name, "20171127T000000", 0)
    page = recommended(engine, index_name, {"size": 5}, user="u1")
    assert (page.segment, page.items) == ("d_young", [f"i{n:03}" for n in range(5)])
    assert recommended(engine, index_name, {"size": 1}, segment="d_old").items == ["i039"]
    assert recommended(engine, index_name, {"size": 1}, user="u2").segment == "all"

    bought = MemoryActionStore()
    bought.record([Action("u1", "i000", "purchase", NOON - timedelta(days=1), "e1")])
    twiddled = recommended(
        engine,
        index_name,
        {"size": 12},
        user="u1",
        at=NOON,
        surface=load_surface("category"),
        actions=bought,
        explain=True,
    )
    brands = [hit.source["brand_id"] for hit in twiddled.hits]
    assert all(brand not in brands[max(0, place - 2) : place] for place, brand in enumerate(brands))
    # 1.0 halved ties with i001's 0.5: the tie goes by item id
    assert twiddled.items[0] == "i000"
    assert twiddled.certificate == "exact"

    told = explain(engine, index_name, "i000", segment="all")
    assert (told["score"], told["draw"], told["propensity"], told["kept"]) == (0.5, 0.6, 1.0, True)
    served = Audience(engine).resolve(index_name, segment="all")
    assert propensities(engine, served, ["i000", "i001"]) == {"i000": 1.0}

    _night(engine, index_name, "20171128T000000", 7)
    assert recommended(engine, index_name, {"size": 1}, user="u1").items == ["i033"]
    rollback(engine, plan_rollback(engine, index_name))
    assert recommended(engine, index_name, {"size": 1}, user="u1").items == ["i000"]
