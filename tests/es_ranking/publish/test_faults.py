"""Whatever goes wrong, one whole generation serves and searches go on: faults on the line to a real node, and kills."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineBusy, EngineUnreachable
from es_ranking.publish.begin import begin
from es_ranking.publish.finish import finish
from es_ranking.publish.generation import generations
from es_ranking.publish.locally import publish
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.write import WriteReport, write_documents
from es_ranking.query import recommended
from es_ranking.twiddlers.settings import Surface
from segments.errors import RankingError, Refused
from tests.contracts.fault_proxy import (
    PATIENCE_SECONDS,
    Exchange,
    Fault,
    FaultProxy,
    answering,
    cut_after,
    cut_before,
    cut_inside,
    fault_proxy,
    half_answered,
    half_busy,
    late_after,
    late_before,
    passing,
)
from tests.contracts.faulty_engine import FaultyEngine, busy, too_large
from tests.es_ranking.publish.shop import (
    ITEMS,
    SETTINGS,
    Publisher,
    documents,
    plan_for,
    publish_at,
    publish_night,
    users,
)
from tests.es_ranking.publish.watch import Searcher, turn_of

NIGHT_1, NIGHT_2 = "20171127T000000", "20171128T000000"
BULK, SWITCH, BUSY = "POST /_bulk", "POST /_aliases", answering(429)


class Nights:
    """One shop, published night after night, whatever became of the night before; each night turns the order on."""

    def __init__(self, engine: Engine, alias: str) -> None:
        self.engine, self.alias, self.number = engine, alias, 0

    @property
    def run(self) -> str:
        return f"{datetime(2018, 1, 1) + timedelta(days=self.number):%Y%m%dT%H%M%S}"

    @property
    def turn(self) -> int:
        return self.number % ITEMS

    def publish(self, engine: Engine, **changed: object) -> int:
        """The next night; its turn."""
        self.number += 1
        settings = SETTINGS.model_copy(update=changed)
        publish_night(engine, self.alias, self.run, turn=self.turn, settings=settings)
        return self.turn

    def begun(self) -> tuple[PublishPlan, WriteReport]:
        """The next night, written but not switched to."""
        self.number += 1
        plan = plan_for(self.engine, self.alias, self.run)
        targets = begin(self.engine, plan)
        report = write_documents(self.engine, targets.main, documents(turn=self.turn), settings=SETTINGS)
        write_documents(self.engine, targets.users, users(), settings=SETTINGS)
        return plan, report

    def served(self) -> int:
        """The turn of every document that is served."""
        return turn_of(self.engine, self.alias)

    def searched(self) -> Searcher:
        return Searcher(self.engine, self.alias)


@pytest.fixture(scope="module")
def nights(engine: Engine) -> Iterator[Nights]:
    made = Nights(engine, f"t-nights-{os.getpid()}")
    made.publish(engine)
    yield made
    for state in engine.indices(f"{made.alias}*"):
        engine.delete_index(state.name, missing_ok=True)


@pytest.fixture
def line(engine_url: str) -> Iterator[FaultProxy]:
    """The line to the node, without faults yet."""
    with fault_proxy(engine_url) as proxy:
        yield proxy


@pytest.fixture
def publisher(line: FaultProxy) -> Iterator[Engine]:
    """Who publishes, over that line."""
    connected = connect(line.url)
    yield connected
    connected.close()


@pytest.mark.parametrize(
    ("what", "faults"),
    [
        pytest.param(BULK, (BUSY, BUSY, BUSY), id="429 storm"),
        pytest.param(BULK, (None, answering(503)), id="503"),
        pytest.param(BULK, (cut_before,), id="connection cut before the bulk"),
        pytest.param(BULK, (None, cut_inside, cut_inside), id="connection cut in the middle of the bulk"),
        pytest.param(BULK, (None, half_answered), id="connection cut in the middle of the bulk's answer"),
        pytest.param(BULK, (None, cut_after, None, cut_after), id="answer of the bulk lost"),
        pytest.param(BULK, (half_busy, half_busy, half_busy), id="half-failed bulks"),
        pytest.param("GET", (answering(503), cut_before, None, answering(429)), id="busy and cut while reading"),
        pytest.param(SWITCH, (cut_after,), id="answer of the switch lost"),
        pytest.param(SWITCH, (half_answered,), id="connection cut in the middle of the switch's answer"),
    ],
)
def test_passing_faults_are_ridden_out(
    nights: Nights, line: FaultProxy, publisher: Engine, what: str, faults: tuple[Fault | None, ...]
) -> None:
    line.plan(what, *faults)
    with nights.searched():
        turn = nights.publish(publisher)
    assert nights.served() == turn


@pytest.mark.parametrize(
    ("what", "faults", "error"),
    [
        pytest.param(SWITCH, (cut_before,), EngineUnreachable, id="switch that never arrived"),
        pytest.param(SWITCH, (cut_inside,), EngineUnreachable, id="connection cut in the middle of the switch"),
        pytest.param(SWITCH, (answering(503),), EngineBusy, id="503 to the switch"),
        pytest.param("", (*[None] * 12, *[cut_before] * 99), EngineUnreachable, id="line that stays cut"),
    ],
)
def test_what_cannot_be_ridden_out_changes_nothing(
    nights: Nights, line: FaultProxy, publisher: Engine, what: str, faults: tuple[Fault | None, ...],
    error: type[RankingError],
) -> None:  # fmt: skip
    before = nights.served()
    line.plan(what, *faults)
    with nights.searched(), pytest.raises(error):
        nights.publish(publisher, max_retries=2)
    assert nights.served() == before
    # the night is simply run again
    again = nights.publish(nights.engine)
    assert nights.served() == again
    assert not any(found.half for found in generations(nights.engine, nights.alias))


def test_the_lost_answer_of_a_rollback(nights: Nights, line: FaultProxy, publisher: Engine) -> None:
    before = nights.served()
    nights.publish(publisher)
    line.plan(SWITCH, cut_after)
    with nights.searched():
        rollback(publisher, plan_rollback(publisher, nights.alias))
    assert nights.served() == before


@pytest.mark.parametrize(
    ("what", "fault", "done"),
    [
        pytest.param("GET", late_before, False, id="while looking"),
        pytest.param(SWITCH, late_before, False, id="of the switch"),
        pytest.param(SWITCH, late_after, True, id="of the switch's answer"),
    ],
)
def test_time_runs_out(nights: Nights, line: FaultProxy, what: str, fault: Fault, done: bool) -> None:
    before = nights.served()
    hasty = connect(line.url, timeout_seconds=PATIENCE_SECONDS)
    line.plan(what, fault)
    with nights.searched(), nullcontext() if done else pytest.raises(EngineUnreachable):
        nights.publish(hasty)
    hasty.close()
    assert nights.served() == (nights.turn if done else before)


def test_a_switch_that_arrives_late_is_not_undone(nights: Nights, line: FaultProxy, publisher: Engine) -> None:
    """The engine still has it in its queue when the publisher, who believes it lost, begins to clean up."""
    queued: list[Exchange] = []

    def late(exchange: Exchange) -> None:
        queued.append(exchange)
        exchange.cut()

    def overtaken(exchange: Exchange) -> None:
        assert queued.pop().forward().status == 200
        passing(exchange)

    line.plan(SWITCH, late, overtaken)
    with nights.searched(), pytest.raises(EngineUnreachable):
        nights.publish(publisher)
    assert not queued
    assert nights.served() == nights.turn


def test_who_sweeps_a_half_generation_never_takes_it_from_under_the_searches(
    nights: Nights, line: FaultProxy, publisher: Engine
) -> None:
    """The other publisher was not dead but slow, and switches just when the next one begins to clean up after him."""
    plan, report = nights.begun()
    slow = nights.turn

    def overtaken(exchange: Exchange) -> None:
        finish(nights.engine, plan, SETTINGS, report=report)
        passing(exchange)

    line.plan("DELETE|POST /_aliases", overtaken)
    with nights.searched(), pytest.raises(Refused, match="as planned"):
        nights.publish(publisher)
    assert nights.served() == slow


def test_two_publishers_at_once(nights: Nights) -> None:
    def attempt(night: int) -> int:
        run = f"20180201T0{night}0000"
        try:
            publish_night(nights.engine, nights.alias, run, turn=night)
        except RankingError:
            return 0
        return night

    nights.number = 50  # what is published later is later
    with nights.searched(), ThreadPoolExecutor(2) as pool:
        done = list(pool.map(attempt, range(1, 5)))
    assert nights.served() == max(done) > 0


def test_killed_at_ten_random_moments(nights: Nights, line: FaultProxy) -> None:
    """A publisher of its own process is killed -9 when it has sent so many requests; the next night starts over."""
    nights.number += 1
    turn = nights.turn
    publish_at(line.url, nights.alias, nights.run, turn)
    requests, rng, switched = len(line.seen), random.Random(29), 0
    switch = 1 + max(n for n, seen in enumerate(line.seen) if seen.startswith(SWITCH))
    moments = [(switch, True), *((n, rng.choice([True, False])) for n in rng.sample(range(1, requests + 1), 10))]
    # forked from a process that has everything imported and no threads
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload([publish_at.__module__])
    with nights.searched():
        for moment, done in moments:
            nights.number += 1
            tried = nights.turn
            victim = start.Process(target=publish_at, args=(line.url, nights.alias, nights.run, tried))

            def kill(exchange: Exchange, victim: Any = victim, done: bool = done) -> None:
                if done:
                    exchange.forward()
                os.kill(victim.pid, signal.SIGKILL)
                exchange.cut()

            line.plan("", *[None] * (moment - 1), kill)
            victim.start()
            victim.join()
            assert victim.exitcode == -signal.SIGKILL, (moment, requests)
            served = nights.served()
            assert served in {turn, tried}, "neither the night before nor this one"
            switched += served == tried
            turn = served
    assert 1 <= switched < len(moments)
    last = nights.publish(nights.engine)
    assert nights.served() == last
    # Two generations of three indices are kept: nothing of the killed ones is left over.
    assert [found.half for found in generations(nights.engine, nights.alias)] == [False, False]
    assert len(nights.engine.indices(f"{nights.alias}*")) == 6


def test_a_generation_that_goes_between_plan_and_fetch(nights: Nights, line: FaultProxy, publisher: Engine) -> None:
    def gone(exchange: Exchange) -> None:
        nights.publish(nights.engine, keep_generations=1)
        passing(exchange)

    gaps = {"kind": "interval", "gaps": [{"attribute": "brand_id", "gap": 2}]}
    surface = Surface.of({"name": "spaced", "twiddlers": [gaps]})
    asked: dict[str, Any] = {"user": "u1", "way": "plan_then_fetch", "surface": surface}
    before = recommended(publisher, nights.alias, {"size": 10}, **asked)
    line.plan("POST /[^/]+/_search", None, gone)
    page = recommended(publisher, nights.alias, {"size": 10}, **asked)
    assert page.items == recommended(nights.engine, nights.alias, {"size": 10}, **asked).items
    assert page.generation != before.generation
    assert not page.flags


def test_an_engine_that_stays_busy_is_left_alone(nights: Nights) -> None:
    before, faulty = nights.served(), FaultyEngine(nights.engine, *[busy] * 100)
    with nights.searched(), pytest.raises(EngineBusy, match="after 3 retries"):
        nights.publish(faulty, max_retries=3)  # type: ignore[arg-type]
    assert faulty.bulks == 2 * 4  # two under way, each sent once and again three times
    assert nights.served() == before


def test_a_request_too_large_goes_in_halves(nights: Nights) -> None:
    turn = nights.publish(FaultyEngine(nights.engine, too_large))  # type: ignore[arg-type]
    assert nights.served() == turn


def test_pauses_double_up_to_the_limit(engine: Engine, index_name: str) -> None:
    slept: list[float] = []
    targets = begin(engine, plan_for(engine, index_name, NIGHT_1))
    settings = SETTINGS.model_copy(update={"backoff_seconds": 0.5, "max_backoff_seconds": 3.0, "max_retries": 9})
    faulty = FaultyEngine(engine, *[busy] * 5)
    report = write_documents(faulty, targets.main, documents(items=3), settings=settings, sleep=slept.append)  # type: ignore[arg-type]
    assert slept == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert (report.written, report.retried) == (3, 15)


def test_a_refused_document_is_named(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT_1)
    plan = plan_for(engine, index_name, NIGHT_2)
    spoiled = (
        (doc_id, {**document, "colour": "red"} if doc_id == "i007" else document) for doc_id, document in documents()
    )
    with pytest.raises(Refused, match=r"refused 1 documents, 0 are allowed, the first is i007: .*colour"):
        publish(engine, plan, documents=spoiled, users=users(), settings=SETTINGS)
    assert turn_of(engine, index_name) == 0


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
