"""Whatever goes wrong, one whole generation serves: faults on the line to a real node, and publishers killed -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable
from es_ranking.publish.generation import generations
from es_ranking.publish.locally import publish
from es_ranking.publish.switch import Finished
from segments.errors import Refused
from tests.contracts.faulty_engine import Fault, FaultyEngine, busy, cut_after, cut_before, half_busy, too_large
from tests.es_ranking.publish.shop import ITEMS, SETTINGS, Publisher, documents, plan_for, top, users

NIGHT_1, NIGHT_2 = "20171127T000000", "20171128T000000"
ROOT = Path(__file__).parents[3]


def publish_through(engine: FaultyEngine, alias: str, **changed: object) -> Finished:
    settings = SETTINGS.model_copy(update=changed)
    plan = plan_for(engine, alias, NIGHT_2, settings=settings)  # type: ignore[arg-type]
    return publish(engine, plan, documents=documents(turn=5), users=users(), settings=settings)  # type: ignore[arg-type]


def old_serves_whole(engine: Engine, alias: str) -> None:
    assert engine.count(alias) == ITEMS
    assert top(engine, alias, "recommended", 2) == ["i000", "i001"]
    assert top(engine, alias, "rank.B.d_old", 1) == ["i039"]


def new_serves_whole(engine: Engine, alias: str) -> None:
    assert engine.count(alias) == ITEMS
    assert top(engine, alias, "recommended", 2) == ["i035", "i036"]
    assert top(engine, alias, "rank.B.d_old", 1) == ["i034"]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param((busy, busy, busy), id="429 storm"),
        pytest.param((cut_before,), id="connection cut before the bulk"),
        pytest.param((None, cut_after, None, cut_after), id="answer of the bulk lost"),
        pytest.param((half_busy, half_busy, half_busy), id="half-failed bulks"),
        pytest.param((too_large,), id="request too large"),
    ],
)
def test_passing_faults_are_ridden_out(
    engine: Engine, index_name: str, published: Publisher, faults: tuple[Fault | None, ...]
) -> None:
    published(NIGHT_1)
    publish_through(FaultyEngine(engine, *faults), index_name)
    new_serves_whole(engine, index_name)


def test_an_engine_that_stays_busy_is_left_alone(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT_1)
    faulty = FaultyEngine(engine, *[busy] * 100)
    with pytest.raises(EngineBusy, match="after 3 retries"):
        publish_through(faulty, index_name, max_retries=3)
    assert faulty.bulks == 4
    old_serves_whole(engine, index_name)
    assert len(generations(engine, index_name)) == 1


def test_pauses_double_up_to_the_limit(engine: Engine, index_name: str) -> None:
    from es_ranking.publish.switch import begin
    from es_ranking.publish.write import write_documents

    slept: list[float] = []
    targets = begin(engine, plan_for(engine, index_name, NIGHT_1))
    settings = SETTINGS.model_copy(update={"backoff_seconds": 0.5, "max_backoff_seconds": 3.0, "max_retries": 9})
    faulty = FaultyEngine(engine, *[busy] * 5)
    report = write_documents(faulty, targets.main, documents(items=3), settings=settings, sleep=slept.append)  # type: ignore[arg-type]
    assert slept == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert (report.written, report.retried) == (3, 15)


def test_the_lost_answer_of_the_switch(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT_1)
    publish_through(FaultyEngine(engine, alias_fault="cut_after"), index_name)
    new_serves_whole(engine, index_name)


def test_a_switch_that_never_arrived(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT_1)
    with pytest.raises(EngineUnreachable):
        publish_through(FaultyEngine(engine, alias_fault="cut_before"), index_name)
    old_serves_whole(engine, index_name)


def test_a_refused_document_is_named(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT_1)
    plan = plan_for(engine, index_name, NIGHT_2)
    spoiled = (
        (doc_id, {**document, "colour": "red"} if doc_id == "i007" else document) for doc_id, document in documents()
    )
    with pytest.raises(Refused, match=r"refused 1 documents, 0 are allowed, the first is i007: .*colour"):
        publish(engine, plan, documents=spoiled, users=users(), settings=SETTINGS)
    old_serves_whole(engine, index_name)


def test_some_refused_documents_may_be_allowed(engine: Engine, index_name: str) -> None:
    settings = SETTINGS.model_copy(update={"max_refused_share": 0.05})
    plan = plan_for(engine, index_name, NIGHT_2, settings=settings)
    spoiled = (
        (doc_id, {**document, "colour": "red"} if doc_id == "i007" else document) for doc_id, document in documents()
    )
    finished = publish(engine, plan, documents=spoiled, users=users(), settings=settings)
    assert (finished.documents, finished.report.refused) == (ITEMS - 1, 1)
    assert finished.report.ledger[0].id == "i007"


def test_refused_reasons_and_users_count_as_documents_do(engine: Engine, index_name: str) -> None:
    red = {"colour": "red"}
    spoiled: dict[str, Any] = {"reasons": [("i000", red)], "users": [("u1", red), ("u2", {"segments": {}})]}
    with pytest.raises(Refused, match=r"refused 2 documents, 0 are allowed, the first is i000: .*colour"):
        publish(engine, plan_for(engine, index_name, NIGHT_1), documents=documents(), settings=SETTINGS, **spoiled)
    settings = SETTINGS.model_copy(update={"max_refused_share": 0.05})
    plan = plan_for(engine, index_name, NIGHT_1, settings=settings)
    finished = publish(engine, plan, documents=documents(), settings=settings, **spoiled)
    assert (finished.documents, finished.report.written, finished.report.refused) == (ITEMS, ITEMS, 2)


@pytest.mark.parametrize("moment", ["before the first bulk", "in mid-bulk", "before the switch", "after the switch"])
def test_killed(engine: Engine, engine_url: str, index_name: str, published: Publisher, moment: str) -> None:
    """A publisher of its own process is killed -9 by itself; then the night is simply run again."""
    published(NIGHT_1)
    code = f"""
        import os, signal
        from es_ranking.engine.connect import connect
        from es_ranking.engine.rest import RestEngine as E
        from es_ranking.publish.locally import publish
        from tests.es_ranking.publish.shop import SETTINGS, documents, plan_for, users

        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        bulk, switch, sent = E.bulk, E.update_aliases, []

        def dying_bulk(self, actions, **options):
            sent.append(1)
            if {moment!r} == "before the first bulk":
                die()
            answer = bulk(self, actions, **options)
            if {moment!r} == "in mid-bulk" and len(sent) == 3:
                die()
            return answer

        def dying_switch(self, actions):
            if {moment!r} == "before the switch":
                die()
            switch(self, actions)
            die()

        E.bulk, E.update_aliases = dying_bulk, dying_switch
        engine = connect({engine_url!r})
        plan = plan_for(engine, {index_name!r}, {NIGHT_2!r})
        publish(engine, plan, documents=documents(turn=5), users=users(), settings=SETTINGS)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    victim = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=False
    )
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    if moment == "after the switch":
        new_serves_whole(engine, index_name)
    else:
        old_serves_whole(engine, index_name)
        assert [p.half for p in generations(engine, index_name)] == [False, True]
    published(NIGHT_2, turn=5)
    new_serves_whole(engine, index_name)
    assert not any(p.half for p in generations(engine, index_name))
    # Two generations of three indices are kept: nothing of the killed one is left over, or it is the kept one.
    assert len(engine.indices(f"{index_name}*")) == 6
