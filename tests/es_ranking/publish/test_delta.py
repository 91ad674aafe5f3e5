from __future__ import annotations

from typing import Any

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineUnreachable, IndexMissing
from es_ranking.publish.begin import begin
from es_ranking.publish.delta import delete_documents, plan_delta
from es_ranking.publish.documents import main_document
from es_ranking.publish.finish import Finished, finish
from es_ranking.publish.generation import generations, serving
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.write import write_documents
from segments.errors import Refused
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.shop import ITEMS, NIGHT, SETTINGS, Publisher, item, top

HOUR = "20171127T010000"
ALL = "rank.B.all"
BEST = {"A": {"all": 9.0}, "B": {"all": 9.0, "d_young": 9.0, "d_old": 9.0}}


def _plan(engine: Engine, alias: str, run: str = HOUR, *, written: int = 1, added: int = 1) -> PublishPlan:
    return plan_delta(engine, alias, run=run, as_of="2017-11-27T01:00:00+00:00", written=written, added=added,
                      removed=1)  # fmt: skip


def _publish(engine: Engine, plan: PublishPlan) -> Finished:
    """Item 99 arrives first of all, item 0 (first until now) is sold out."""
    targets = begin(engine, plan)
    new = {**item(99), "item_id": "i099"}
    report = write_documents(engine, targets.main, [("i099", main_document(new, BEST, list_name="FOOD"))],
                             settings=SETTINGS)  # fmt: skip
    delete_documents(engine, targets.main, ["i000"], settings=SETTINGS)
    return finish(engine, plan, SETTINGS, report=report)


def test_a_new_item_appears_a_sold_out_one_leaves_and_the_others_stay(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    night = published(NIGHT)
    assert top(engine, index_name, ALL) == ["i000", "i001", "i002"]
    before = engine.mget(index_name, [f"i{n:03}" for n in range(1, ITEMS)])
    finished = _publish(engine, _plan(engine, index_name))
    assert top(engine, index_name, ALL) == ["i099", "i001", "i002"]
    assert engine.mget(index_name, [f"i{n:03}" for n in range(1, ITEMS)]) == before
    assert engine.count(f"{index_name}-users") == 2
    now = serving(engine, index_name)
    assert now is not None
    assert (now.generation.id, now.meta.run, now.meta.night) == (finished.generation, HOUR, NIGHT)
    assert now.meta.documents == engine.count(index_name) == ITEMS
    # Rolled back, the night serves as it was.
    rollback(engine, plan_rollback(engine, index_name))
    assert top(engine, index_name, ALL) == ["i000", "i001", "i002"]
    assert serving(engine, index_name).generation.id == night.generation  # type: ignore[union-attr]
    # And an hour can be published from there again.
    _publish(engine, _plan(engine, index_name, "20171127T020000"))
    assert top(engine, index_name, ALL)[0] == "i099"


def test_hours_keep_the_night_and_the_hour_before(engine: Engine, index_name: str, published: Publisher) -> None:
    night = published(NIGHT)
    _publish(engine, _plan(engine, index_name))
    for hour in ("02", "03"):
        plan = plan_delta(engine, index_name, run=f"20171127T{hour}0000", as_of=f"2017-11-27T{hour}:00:00+00:00",
                          written=0, added=0, removed=0)  # fmt: skip
        begin(engine, plan)
        finish(engine, plan, SETTINGS, report=write_documents(engine, "x", [], settings=SETTINGS))
    kept = [published.generation.id for published in generations(engine, index_name)]
    assert kept == [night.generation, f"{index_name}-20171127t020000-1", f"{index_name}-20171127t030000-1"]


class Unswitched(FaultyEngine):
    """The change of aliases never arrives."""

    def update_aliases(self, _: Any) -> None:
        raise EngineUnreachable("planned")


@pytest.mark.parametrize("fault", ["nothing written", "not switched"])
def test_a_crash_in_the_middle_leaves_the_previous_ranks(
    engine: Engine, index_name: str, published: Publisher, fault: str
) -> None:
    night = published(NIGHT)
    if fault == "nothing written":
        begin(engine, _plan(engine, index_name))
    else:
        with pytest.raises(EngineUnreachable):
            _publish(Unswitched(engine), _plan(engine, index_name))  # type: ignore[arg-type]
    assert top(engine, index_name, ALL) == ["i000", "i001", "i002"]
    assert serving(engine, index_name).generation.id == night.generation  # type: ignore[union-attr]
    # The next one sweeps what was left.
    _publish(engine, _plan(engine, index_name, "20171127T020000"))
    assert top(engine, index_name, ALL)[0] == "i099"
    assert not any(found.half for found in generations(engine, index_name))


def test_an_older_hour_is_refused_and_so_is_one_before_any_night(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    with pytest.raises(IndexMissing):
        _plan(engine, index_name)
    published(NIGHT)
    with pytest.raises(Refused, match="newer"):
        _plan(engine, index_name, "20171126T230000")


def test_counts_that_do_not_reconcile_change_nothing(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT)
    with pytest.raises(Refused, match="reconcile"):
        _publish(engine, _plan(engine, index_name, added=5))
    assert top(engine, index_name, ALL) == ["i000", "i001", "i002"]


def test_deleting_twice_is_deleting_once_and_a_swept_generation_is_named(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    published(NIGHT)
    targets = begin(engine, _plan(engine, index_name))
    assert delete_documents(engine, targets.main, ["i000"], settings=SETTINGS) == 1
    assert delete_documents(engine, targets.main, ["i000", "nobody"], settings=SETTINGS) == 2
    with pytest.raises(Refused, match="overtaken"):
        delete_documents(engine, f"{index_name}-gone-writing", ["i000"], settings=SETTINGS)
