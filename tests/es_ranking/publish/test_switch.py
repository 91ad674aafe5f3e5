"""Publish, reconcile, switch, roll back, on a real node."""

from __future__ import annotations

from typing import Any

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.publish.begin import abort, begin
from es_ranking.publish.finish import finish
from es_ranking.publish.generation import generations, serving, serving_meta
from es_ranking.publish.locally import publish
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.write import WriteReport, write_documents
from segments.errors import Refused, UsageError
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.shop import (
    CATALOGUE,
    ITEMS,
    SETTINGS,
    Publisher,
    documents,
    plan_for,
    publish_night,
    top,
    users,
)
from tests.es_ranking.publish.watch import turn_of

NIGHT_1, NIGHT_2, NIGHT_3 = "20171127T000000", "20171128T000000", "20171129T000000"


def states(engine: Engine, alias: str) -> dict[str, str]:
    return {p.generation.id: p.to_dict()["state"] for p in generations(engine, alias)}


def test_a_generation_serves_its_own_ranks_under_every_name(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    finished = published(NIGHT_1)
    assert finished.documents == ITEMS
    assert top(engine, index_name, "recommended") == ["i000", "i001", "i002"]
    assert top(engine, index_name, "rank.B.d_old") == ["i039", "i038", "i037"]
    assert engine.get(f"{index_name}-why", "i000")["ranks"]["B"]["all"]["draw"] == 0.6
    assert engine.get(f"{index_name}-users", "u1") == {"segments": {"demographic": "d_young"}}
    meta = serving_meta(engine, index_name)
    assert meta.run == NIGHT_1
    assert meta.rank_fields == {"A": ["all"], "B": ["all", "d_young", "d_old"]}
    assert meta.catalogue == CATALOGUE.model_dump(mode="json")


def test_loading_settings_are_restored(engine: Engine, index_name: str, published: Publisher) -> None:
    finished = published(NIGHT_1)
    (state,) = engine.indices(finished.generation)
    assert state.settings["index.refresh_interval"] == "1s"
    assert list(state.aliases) == [index_name]


def test_the_next_night_replaces_and_rollback_returns(engine: Engine, index_name: str, published: Publisher) -> None:
    first = published(NIGHT_1)
    second = published(NIGHT_2, turn=5)
    assert second.replaced == first.generation
    assert top(engine, index_name, "recommended", 1) == ["i035"]
    plan = plan_rollback(engine, index_name)
    assert (plan.serving, plan.to) == (second.generation, first.generation)
    rollback(engine, plan)
    assert top(engine, index_name, "recommended", 1) == ["i000"]
    assert engine.get_alias(f"{index_name}-why") == [first.generation.replace(index_name, f"{index_name}-why")]
    with pytest.raises(Refused, match="switched first"):
        rollback(engine, plan)
    with pytest.raises(Refused, match="no earlier generation"):
        plan_rollback(engine, index_name)
    with pytest.raises(UsageError, match="unknown generation"):
        plan_rollback(engine, index_name, to="nonsense")
    rollback(engine, plan_rollback(engine, index_name, to=second.generation))
    assert top(engine, index_name, "recommended", 1) == ["i035"]


def test_an_older_job_changes_nothing(engine: Engine, index_name: str, published: Publisher) -> None:
    newer = published(NIGHT_2)
    with pytest.raises(Refused, match="is newer than") as refused:
        published(NIGHT_1)
    assert refused.value.exit_code == 3
    assert states(engine, index_name) == {newer.generation: "serving"}


def test_an_older_job_that_was_planned_before_changes_nothing(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    old = plan_for(engine, index_name, NIGHT_1)
    targets = begin(engine, old)
    report = write_documents(engine, targets.main, documents(), settings=SETTINGS)
    write_documents(engine, targets.users, users(), settings=SETTINGS)
    newer = published(NIGHT_2)
    with pytest.raises(Refused, match="overtaken"):
        finish(engine, old, SETTINGS, report=report)
    assert states(engine, index_name) == {newer.generation: "serving"}


def test_writers_of_a_swept_generation_create_nothing(engine: Engine, index_name: str) -> None:
    plan = plan_for(engine, index_name, NIGHT_1)
    targets = begin(engine, plan)
    abort(engine, plan)
    abort(engine, plan)
    with pytest.raises(Refused, match="overtaken"):
        write_documents(engine, targets.main, documents(), settings=SETTINGS)
    assert engine.indices(f"{index_name}*") == []


def test_two_first_publishers_cannot_both_serve(engine: Engine, index_name: str) -> None:
    """Both saw an empty engine; the engine itself lets only one of them in."""
    plans = [plan_for(engine, index_name, run) for run in (NIGHT_2, NIGHT_1)]
    ready: list[tuple[PublishPlan, WriteReport]] = []
    for plan in plans:
        targets = begin(engine, plan)
        write_documents(engine, targets.users, users(), settings=SETTINGS)
        ready.append((plan, write_documents(engine, targets.main, documents(), settings=SETTINGS)))
    finish(engine, plans[0], SETTINGS, report=ready[0][1])
    with pytest.raises(Refused, match="newer"):
        finish(engine, plans[1], SETTINGS, report=ready[1][1])
    assert engine.get_alias(index_name) == [plans[0].generation]


@pytest.mark.parametrize("first", [True, False], ids=["both first", "both replace the same"])
def test_the_engine_itself_lets_one_of_two_switch(
    engine: Engine, index_name: str, published: Publisher, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """The later one looked before the other switched, and still believes what it saw."""
    if not first:
        published(NIGHT_1)
    late = plan_for(engine, index_name, NIGHT_3)
    targets = begin(engine, late)
    report = write_documents(engine, targets.main, documents(), settings=SETTINGS)
    write_documents(engine, targets.users, users(), settings=SETTINGS)
    seen = serving(engine, index_name)
    winner = published(NIGHT_2, turn=5)
    monkeypatch.setattr("es_ranking.publish.switch.serving", lambda *_: seen)
    with pytest.raises(Refused, match="switched first"):
        finish(engine, late, SETTINGS, report=report)
    for alias in (index_name, f"{index_name}-why", f"{index_name}-users"):
        assert len(engine.get_alias(alias)) == 1
    assert engine.get_alias(index_name) == [winner.generation]


def test_retention_keeps_what_the_settings_say(engine: Engine, index_name: str, published: Publisher) -> None:
    settings = SETTINGS.model_copy(update={"keep_generations": 2})
    published(NIGHT_1, settings=settings)
    second = published(NIGHT_2, settings=settings)
    third = published(NIGHT_3, settings=settings)
    assert states(engine, index_name) == {second.generation: "kept", third.generation: "serving"}
    assert len(engine.indices(f"{index_name}*")) == 6


def test_a_rollback_to_what_is_just_being_removed_wins_or_is_refused(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    first, _ = published(NIGHT_1), published(NIGHT_2, turn=5)
    late = plan_rollback(engine, index_name)

    class Beset(FaultyEngine):
        """The operator goes back at the very moment at which the oldest generation is claimed for removal."""

        def update_aliases(self, actions: Any) -> None:
            if "-discarded" in str(actions):
                rollback(engine, plan_rollback(engine, index_name, to=first.generation))
            engine.update_aliases(actions)

    third = publish_night(Beset(engine), index_name, NIGHT_3, turn=7)  # type: ignore[arg-type]
    assert third.retired == ()
    assert turn_of(engine, index_name) == 0
    rollback(engine, plan_rollback(engine, index_name, to=third.generation))
    assert published("20171130T000000", turn=9).retired == (first.generation, late.serving)
    with pytest.raises(Refused, match="switched first"):
        rollback(engine, late)
    assert turn_of(engine, index_name) == 9


def test_the_same_run_again_is_a_later_generation(engine: Engine, index_name: str, published: Publisher) -> None:
    first, second = published(NIGHT_1), published(NIGHT_1, turn=3)
    assert first.generation.endswith("-1")
    assert second.generation.endswith("-2")
    assert top(engine, index_name, "recommended", 1) == ["i037"]


def test_missing_documents_do_not_switch(engine: Engine, index_name: str, published: Publisher) -> None:
    first = published(NIGHT_1)
    plan = plan_for(engine, index_name, NIGHT_2, documents=ITEMS + 1)
    with pytest.raises(Refused, match="40 documents instead of 41"):
        publish(engine, plan, documents=documents(turn=9), users=users(), settings=SETTINGS)
    assert states(engine, index_name) == {first.generation: "serving"}
    assert top(engine, index_name, "recommended", 1) == ["i000"]


def test_a_foreign_index_under_the_name_is_refused(engine: Engine, index_name: str) -> None:
    engine.create_index(index_name, {})
    with pytest.raises(Refused, match="an index has this name"):
        plan_for(engine, index_name, NIGHT_1)
