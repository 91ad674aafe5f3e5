"""A reindex on a real node: done, refused, thrown back, cut at every moment and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from es_ranking.doctor import Patient, examine
from es_ranking.engine.contract import BulkAction, Copying, Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable
from es_ranking.publish.begin import begin
from es_ranking.publish.generation import generations, serving
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.seal import mend
from es_ranking.reindex.plan import begun_reindex, plan_reindex
from es_ranking.reindex.run import Reindexed, reindex
from es_ranking.reindex.settings import ReindexSettings
from segments.errors import Refused
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.shop import ITEMS, NIGHT, SETTINGS, Publisher, top
from tests.es_ranking.publish.watch import Searcher, turn_of
from tests.es_ranking.reindex.test_plan import WANTED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shop(published: Publisher, index_name: str) -> str:
    published(NIGHT)
    return index_name


def run(engine: Engine, alias: str, **how: Any) -> Reindexed:
    wanted = how.pop("wanted", None)
    plan = plan_reindex(engine, alias, wanted=wanted, settings=ReindexSettings(**how))
    return reindex(engine, plan, publish=wanted or SETTINGS, resume=False)


def resume(engine: Engine, alias: str) -> Reindexed:
    plan = begun_reindex(engine, alias)
    assert plan is not None
    return reindex(engine, plan, publish=SETTINGS, resume=True)


def write(engine: Engine, alias: str, doc_id: str = "late") -> list[int]:
    """An owner's write through the alias; statuses of what was refused."""
    document = {"item_id": doc_id, "price": 1.0, "rank": {"B": {"all": 0.001}}}
    return [error.status for error in engine.bulk([BulkAction(alias, doc_id, document)]).errors]


def told(engine: Engine, alias: str, check: str) -> str:
    patient = Patient(engine, None, (alias,), datetime(2017, 11, 27, 1, tzinfo=UTC), 36.0)
    return " ".join(f"{one.state}: {one.found} {one.cure}" for one in examine(patient) if one.check == check)


def test_the_same_documents_behind_other_analysers_fields_and_shards(engine: Engine, shop: str) -> None:
    with Searcher(engine, shop):
        done = run(engine, shop, wanted=WANTED)
    assert (done.documents, done.followed.caught_up, done.followed.deleted, done.followed.rounds) == (ITEMS, 0, 0, 1)
    assert 0.0 < done.followed.blocked_seconds < done.seconds
    now = serving(engine, shop)
    assert now is not None
    assert (now.generation.id, now.generation.number, now.meta.run) == (done.generation, 2, NIGHT)
    (state,) = engine.indices(shop)
    assert state.settings["index.number_of_shards"] == "3"
    assert state.settings["index.refresh_interval"] == "1s"
    assert now.meta.documents == ITEMS
    assert top(engine, shop, "recommended") == ["i000", "i001", "i002"]
    assert engine.count(shop, {"term": {"colour": "red"}}) == ITEMS // 2
    assert engine.count(shop, {"term": {"title": "ITEM"}}) == ITEMS
    for name, index in now.generation.indices.items():
        assert engine.get_alias(name) == [index]
    assert engine.get(f"{shop}-users", "u1") == {"segments": {"demographic": "d_young"}}
    assert engine.get(f"{shop}-why", "i000") is not None
    assert write(engine, shop) == []


def test_back_to_what_was_and_writers_find_it_open(engine: Engine, shop: str) -> None:
    done = run(engine, shop)
    # Nobody can write past the new one any more.
    assert write(engine, done.replaced) == [403]
    rollback(engine, plan_rollback(engine, shop))
    assert serving(engine, shop).generation.id == done.replaced  # type: ignore[union-attr]
    assert turn_of(engine, shop) == 0
    assert write(engine, shop) == []
    assert run(engine, shop).generation.endswith("-3")


def test_what_owners_wrote_before_and_during_is_there(engine: Engine, shop: str) -> None:
    """Writes between plan and copy are as those during it; what was not refreshed counts as well."""
    plan = plan_reindex(engine, shop, settings=ReindexSettings())
    actions = [
        BulkAction(shop, "i003", {"item_id": "i003", "price": 7.0, "rank": {"B": {"all": 0.5}}}),
        BulkAction(shop, "late", {"item_id": "late", "price": 8.0, "rank": {"B": {"all": 0.001}}}),
        BulkAction(shop, "i005", None, "delete"),
    ]
    engine.bulk(actions)

    class Writing(FaultyEngine):
        """An owner takes one away, and writes one, when the copy is already complete."""

        def checkpoints(self, index: str) -> dict[str, int]:
            if self.bulks == 0:
                self.bulks += 1
                engine.bulk([BulkAction(shop, "i007", None, "delete"), BulkAction(shop, "i008", actions[0].document)])
            return engine.checkpoints(index)

    done = reindex(Writing(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert (done.documents, done.followed.deleted) == (ITEMS - 1, 1)
    assert engine.mget(shop, ["i005", "i007"]) == [None, None]
    assert engine.mget(shop, ["i003", "late", "i008"], source=["price"]) == [
        {"price": 7.0},
        {"price": 8.0},
        {"price": 7.0},
    ]


def test_documents_without_an_item_id_are_kept_and_lost_as_well(engine: Engine, shop: str) -> None:
    engine.bulk([BulkAction(shop, name, {"price": 1.0}) for name in ("one", "two")], refresh=True)
    plan = plan_reindex(engine, shop, settings=ReindexSettings())

    class Deleting(FaultyEngine):
        def refresh(self, index: str) -> None:
            engine.refresh(index)
            if index.endswith("-writing"):
                engine.bulk([BulkAction(plan.source, "one", None, "delete")])

    # After the copying the writers are shut out only once: the deletion falls between.
    reindex(Deleting(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert engine.mget(shop, ["one", "two"]) == [None, {"price": 1.0}]


def test_it_goes_no_faster_than_it_may(engine: Engine, shop: str) -> None:
    began = time.perf_counter()
    run(engine, shop, requests_per_second=20.0)
    assert time.perf_counter() - began > ITEMS / 20


def test_a_document_the_new_mapping_refuses_leaves_everything_as_it_was(engine: Engine, shop: str) -> None:
    wanted = SETTINGS.model_copy(update={"properties": {"title": {"type": "integer"}}})
    with pytest.raises(Refused, match=r"would not take i\d+: .*title"):
        run(engine, shop, wanted=wanted)
    assert turn_of(engine, shop) == 0
    assert begun_reindex(engine, shop) is None
    assert len(engine.indices(f"{shop}*")) == 3
    assert write(engine, shop) == []


def test_a_copying_that_somebody_stopped_is_gone_on_with(engine: Engine, engine_url: str, shop: str) -> None:
    class Stopped(FaultyEngine):
        def copying(self, task: str) -> Copying | None:
            httpx.post(f"{engine_url}/_tasks/{task}/_cancel")
            return engine.copying(task)

    plan = plan_reindex(engine, shop, settings=ReindexSettings(requests_per_second=0.05))
    with pytest.raises(EngineBusy, match=r"stopped copying: .*cancel"):
        reindex(Stopped(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert turn_of(engine, shop) == 0
    kept = begun_reindex(engine, shop)
    assert kept is not None
    hurried = replace(kept, settings=ReindexSettings())
    assert reindex(engine, hurried, publish=SETTINGS, resume=True).documents == ITEMS


@pytest.mark.parametrize("lie", ["lost", "changed", "other order"])
def test_a_copy_that_is_not_the_same_never_serves(engine: Engine, shop: str, lie: str) -> None:
    class Lying(FaultyEngine):
        """Somebody writes into the copy."""

        def close_to_writes(self, index: str) -> None:
            engine.close_to_writes(index)
            if index != f"{shop}-{NIGHT.lower()}-1":
                return
            wrong = {"changed": {"item_id": "i001", "rank": {"B": {"all": 0.5}}}, "other order": None, "lost": None}[
                lie
            ]
            target = f"{shop}-{NIGHT.lower()}-2-writing"
            action = BulkAction(target, "i001", wrong, "index" if wrong else "delete")
            assert engine.bulk([action], refresh=True).done == 1
            if lie == "other order":
                engine.bulk([BulkAction(target, "x", {"item_id": "i001", "rank": {"B": {"all": 0.1}}})], refresh=True)

    plan = plan_reindex(engine, shop, settings=ReindexSettings())
    with pytest.raises(Refused, match="the copy is not the same"):
        reindex(Lying(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert turn_of(engine, shop) == 0
    assert write(engine, shop) == []
    assert begun_reindex(engine, shop) is None


def test_writers_are_let_in_again_when_it_takes_too_long(engine: Engine, shop: str) -> None:
    """Somebody writes just before each closing; the time is over at once. Later there is time enough."""

    class Restless(FaultyEngine):
        def close_to_writes(self, index: str) -> None:
            assert write(engine, shop, f"new-{self.bulks}") == []
            engine.close_to_writes(index)

    plan = plan_reindex(engine, shop, settings=ReindexSettings(max_block_seconds=1e-6, rounds=3))
    with pytest.raises(Refused, match="in 3 rounds the last changes took longer"):
        reindex(Restless(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert write(engine, shop) == []
    assert serving(engine, shop).generation.id == plan.source  # type: ignore[union-attr]
    kept = begun_reindex(engine, shop)
    assert kept is not None
    with pytest.raises(Refused, match="in 3 rounds"):
        resume(engine, shop)


def test_a_publish_meanwhile_takes_over(engine: Engine, shop: str, published: Publisher) -> None:
    plan = plan_reindex(engine, shop, settings=ReindexSettings())

    class Overtaken(FaultyEngine):
        def close_to_writes(self, index: str) -> None:
            if index == plan.source:
                published("20171128T000000", turn=5)
            engine.close_to_writes(index)

    with pytest.raises(Refused):
        reindex(Overtaken(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert turn_of(engine, shop) == 5
    assert not any(found.half for found in generations(engine, shop))
    assert write(engine, shop) == []


def test_the_doctor_sees_a_begun_one_and_a_closed_index(engine: Engine, shop: str) -> None:
    begin(engine, plan_reindex(engine, shop, settings=ReindexSettings()).publish)
    assert "--resume" in told(engine, shop, f"leftovers {shop}")
    engine.close_to_writes(f"{shop}-{NIGHT.lower()}-1")
    assert told(engine, shop, f"settings {shop}").startswith("warning: the serving index refuses writes unless")
    assert mend(engine, shop) == ["index.blocks.write"]
    assert told(engine, shop, f"settings {shop}") == ""
    assert write(engine, shop) == []


def test_the_switch_never_arrived(engine: Engine, shop: str) -> None:
    class Cut(FaultyEngine):
        def update_aliases(self, _: Any) -> None:
            raise EngineUnreachable("planned")

    plan = plan_reindex(engine, shop, settings=ReindexSettings())
    with pytest.raises(EngineUnreachable):
        reindex(Cut(engine), plan, publish=SETTINGS, resume=False)  # type: ignore[arg-type]
    assert write(engine, shop) == []
    done = resume(engine, shop)
    assert serving(engine, shop).generation.id == done.generation  # type: ignore[union-attr]
    assert (done.documents, done.followed.caught_up) == (ITEMS + 1, 1)


@pytest.mark.parametrize("moment", ["start_reindex", "copying", "close_to_writes", "update_aliases", "switched"])
def test_killed_and_gone_on_with(engine: Engine, engine_url: str, shop: str, moment: str) -> None:
    """A process of its own kills itself -9 just after a call; another one goes on, with what was written between."""
    code = f"""
        import os, signal
        from es_ranking.engine.connect import connect
        from es_ranking.engine.rest import RestEngine as E
        from es_ranking.reindex.plan import plan_reindex
        from es_ranking.reindex.run import reindex
        from es_ranking.reindex.settings import ReindexSettings
        from tests.es_ranking.publish.shop import SETTINGS

        name = "update_aliases" if {moment!r} == "switched" else {moment!r}
        real = getattr(E, name)

        def dying(self, *given, **named):
            if {moment!r} != "update_aliases":
                real(self, *given, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(E, name, dying)
        engine = connect({engine_url!r})
        slow = 20.0 if name in ("start_reindex", "copying") else None
        plan = plan_reindex(engine, {shop!r}, settings=ReindexSettings(requests_per_second=slow))
        if name == "close_to_writes":
            # The side indices are closed and copied first.
            def dying(self, index, **_):
                real(self, index)
                if index == plan.source:
                    os.kill(os.getpid(), signal.SIGKILL)
            E.close_to_writes = dying
        reindex(engine, plan, publish=SETTINGS, resume=False)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    victim = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=False
    )
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    if moment == "switched":
        assert serving(engine, shop).generation.number == 2  # type: ignore[union-attr]
        assert begun_reindex(engine, shop) is None
        assert write(engine, shop) == []
        return
    assert turn_of(engine, shop) == 0
    closed = moment in ("close_to_writes", "update_aliases")
    assert write(engine, shop) == ([403] if closed else [])
    assert ("--mend" in told(engine, shop, f"settings {shop}")) is closed
    if not closed:
        # It is the engine that copies, and it goes on.
        plan = begun_reindex(engine, shop)
        assert plan is not None
        assert engine.reindexing(f"{plan.publish.generation}-writing") is not None
    early: list[int] = []

    class Watched(FaultyEngine):
        """An owner writes once more while the copy is being finished."""

        def reindexing(self, target: str) -> str | None:
            early.extend(write(engine, shop, "early"))
            return engine.reindexing(target)

    done = resume(Watched(engine), shop)  # type: ignore[arg-type]
    assert early == []
    assert done.documents == engine.count(shop) == (ITEMS + 1 if closed else ITEMS + 2)
    assert serving(engine, shop).generation.id == done.generation  # type: ignore[union-attr]
    assert not any(found.half for found in generations(engine, shop))
    assert write(engine, shop, "afterwards") == []
