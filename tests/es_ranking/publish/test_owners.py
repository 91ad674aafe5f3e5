"""Owners who write while a night is published: what was acknowledged is there afterwards, under the night's ranks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish.begin import begin
from es_ranking.publish.changes import Changes
from es_ranking.publish.delta import delete_documents, plan_delta
from es_ranking.publish.documents import main_document
from es_ranking.publish.finish import finish
from es_ranking.publish.generation import generations, serving
from es_ranking.publish.locally import publish
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.seal import mend
from es_ranking.publish.write import write_documents
from segments.errors import Refused
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.owners import Owner, at_work
from tests.es_ranking.publish.shop import (
    NIGHT,
    SETTINGS,
    Publisher,
    documents,
    item,
    plan_for,
    publish_night,
    ranks,
    reasons,
    users,
)
from tests.es_ranking.publish.watch import turn_of

ROOT = Path(__file__).parents[3]
NEXT, HOUR = "20171128T000000", "20171127T010000"
MANY, OWNERS = 300, 2
PATIENT = SETTINGS.model_copy(update={"shards": 2, "batch_documents": 100, "max_block_seconds": 60.0})
UNTOUCHED: dict[str, Any] = {}
Documents = dict[str, Mapping[str, Any]]


def first_night() -> Documents:
    return dict(documents(items=MANY))


def little_changed() -> Documents:
    """An item is new, one is gone and one has other ranks."""
    found = first_night()
    del found["i005"]
    found["i003"] = main_document(item(3), ranks(0, items=MANY), list_name="FOOD")
    found["i999"] = main_document({**item(999), "item_id": "i999"}, ranks(7, items=MANY), list_name="FOOD")
    return found


def written(engine: Engine, alias: str, *actions: BulkAction) -> list[int]:
    """Statuses of what was refused to an owner."""
    return [error.status for error in engine.bulk(actions or (BulkAction(alias, "late", {"price": 1.0}),)).errors]


def planned(engine: Engine, alias: str, kind: str) -> tuple[PublishPlan, Documents]:
    """A publish after the first night, and what its tables say."""
    if kind == "whole":
        return plan_for(engine, alias, NEXT, settings=PATIENT, documents=MANY), dict(documents(turn=5, items=MANY))
    if kind == "hour":
        clock = "2017-11-27T01:00:00+00:00"
        return plan_delta(engine, alias, run=HOUR, as_of=clock, written=2, added=1, removed=1), little_changed()
    moved = {alias: Changes(added=1, changed=1, removed=1, same=MANY - 2)}
    plan = plan_for(engine, alias, NEXT, settings=PATIENT, documents=MANY, compare=lambda *_: moved)
    assert plan.clones
    return plan, little_changed()


class Watched(FaultyEngine):
    """Notes what owners hold at the moment of the switch; begins with them when the first document is sent."""

    def __init__(self, engine: Engine, owners: list[Owner]) -> None:
        super().__init__(engine)
        self.owners, self.at_switch = owners, dict[str, Any]()

    def update_aliases(self, actions: Any) -> None:
        if len(actions) > 2:
            self.at_switch = {name: document for owner in self.owners for name, document in owner.held.items()}
        self._engine.update_aliases(actions)

    def stream(self, documents: Documents) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for owner in self.owners:
            owner.start()
        yield from documents.items()
        time.sleep(0.5)


def expected(held: Any, name: str, night: Documents, at_switch: Mapping[str, Any]) -> Any:
    """What must be there of an item; None: nothing."""
    if held is UNTOUCHED:
        return night.get(name)
    if held is None or held is not at_switch.get(name):
        return held
    # Before the switch: what is said of the item is its owner's, its ranks and its list are the night's.
    ranked = {key: night[name][key] for key in ("rank", "list")} if name in night else {}
    return {**{key: value for key, value in held.items() if key != "rank"}, **ranked}


@pytest.mark.parametrize("kind", ["whole", "copied", "hour"])
def test_no_write_and_no_deletion_is_lost(engine: Engine, index_name: str, kind: str) -> None:
    old = first_night()
    plan = plan_for(engine, index_name, NIGHT, settings=PATIENT, documents=MANY)
    publish(engine, plan, documents=iter(old.items()), reasons=reasons(), users=users(), settings=PATIENT)
    names = [*old]
    owners = [Owner(engine, index_name, n, dict.fromkeys(names[n::OWNERS], UNTOUCHED)) for n in range(OWNERS)]
    watched = Watched(engine, owners)
    patient: Any = watched
    plan, new = planned(patient, index_name, kind)
    targets = begin(patient, plan)
    copied = index_name in plan.clones
    due = {name: document for name, document in new.items() if not copied or document != old.get(name)}
    with at_work(owners):
        report = write_documents(patient, targets.main, watched.stream(due), settings=PATIENT)
        if copied:
            delete_documents(patient, targets.main, old.keys() - new, settings=PATIENT)
        if f"{index_name}-users" not in plan.clones:
            write_documents(patient, targets.users, users(), settings=PATIENT)
        done = finish(patient, plan, PATIENT, report=report)
    assert min(done.followed.caught_up, done.followed.deleted) > 0
    assert 0.0 < done.followed.blocked_seconds < 60.0
    engine.refresh(index_name)
    held = dict.fromkeys(new, UNTOUCHED) | {name: document for owner in owners for name, document in owner.held.items()}
    wanted = {name: expected(document, name, new, watched.at_switch) for name, document in held.items()}
    hits = engine.search(index_name, {"size": 10 * MANY})["hits"]["hits"]
    assert {hit["_id"]: hit["_source"] for hit in hits} == {name: one for name, one in wanted.items() if one}
    now = serving(engine, index_name)
    assert now is not None
    assert (now.generation.id, now.meta.documents) == (done.generation, done.documents)
    assert not [state.name for state in engine.indices(f"{index_name}-*") if "-was" in state.name]


def test_whoever_lets_owners_in_before_the_switch_loses_nothing(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    """Another publish that begins opens the index; and who deletes an item and brings it back has its ranks again."""
    published(NIGHT)
    plan = plan_for(engine, index_name, NEXT)
    mine = {"item_id": "i007", "price": 9.0, "rank": {"B": {"all": 5.0}}}

    class Disturbed(FaultyEngine):
        closed = False

        def close_to_writes(self, index: str) -> None:
            if not self.closed:
                self.closed = True
                assert written(engine, index_name, BulkAction(index_name, "i007", mine)) == []
            engine.close_to_writes(index)

        def update_aliases(self, actions: Any) -> None:
            engine.put_settings(str(plan.replaces), {"index.blocks.write": None})
            late = (
                BulkAction(index_name, "i008", {**mine, "item_id": "i008"}),
                BulkAction(index_name, "i009", None, "delete"),
            )
            assert written(engine, index_name, *late) == []
            engine.update_aliases(actions)

    targets = begin(engine, plan)
    report = write_documents(engine, targets.main, documents(turn=3), settings=SETTINGS)
    write_documents(engine, targets.users, users(), settings=SETTINGS)
    assert written(engine, index_name, BulkAction(index_name, "i007", None, "delete")) == []
    done = finish(Disturbed(engine), plan, SETTINGS, report=report)  # type: ignore[arg-type]
    assert (done.followed.caught_up, done.followed.deleted) == (2, 2)
    night = dict(documents(turn=3))
    for name in ("i007", "i008"):
        assert engine.get(index_name, name) == {
            "item_id": name, "price": 9.0, "rank": night[name]["rank"], "list": "FOOD"
        }  # fmt: skip
    assert engine.get(index_name, "i009") is None
    # Nobody can write past the new one any more, and going back opens the old one.
    assert written(engine, str(done.replaced), BulkAction(str(done.replaced), "x", {"price": 1.0})) == [403]
    rollback(engine, plan_rollback(engine, index_name))
    assert written(engine, index_name) == []


def test_owners_write_on_where_the_last_of_it_takes_too_long(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    first = published(NIGHT)
    closed: list[str] = []

    class Restless(FaultyEngine):
        """Somebody writes just before each closing."""

        def close_to_writes(self, index: str) -> None:
            if closed or index == first.generation:
                closed.append(index)
                assert written(engine, index_name, BulkAction(index_name, f"new-{len(closed)}", {"price": 1.0})) == []
            engine.close_to_writes(index)

    hasty = SETTINGS.model_copy(update={"max_block_seconds": 1e-6, "rounds": 2})
    with pytest.raises(Refused, match=r"in 2 rounds what owners write could not be brought in 1e-06 s") as refused:
        publish_night(Restless(engine), index_name, NEXT, turn=5, settings=hasty)  # type: ignore[arg-type]
    assert refused.value.exit_code == 3
    assert closed.count(first.generation) == 3  # once to begin, twice in vain
    assert serving(engine, index_name).generation.id == first.generation  # type: ignore[union-attr]
    assert written(engine, index_name) == []
    assert len(engine.indices(f"{index_name}*")) == 3


def test_a_document_the_new_index_has_no_fields_for_is_named(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    first = published(NIGHT)
    engine.put_mapping(first.generation, {"properties": {"stock": {"type": "integer"}}})
    stocked = BulkAction(index_name, "i004", {"item_id": "i004", "stock": 3})

    def stream() -> Iterator[Any]:
        assert written(engine, index_name, stocked) == []
        yield from documents(turn=5)

    plan = plan_for(engine, index_name, NEXT)
    with pytest.raises(Refused, match=r"would not take i004, which was written meanwhile: .*stock"):
        publish(engine, plan, documents=stream(), users=users(), settings=SETTINGS)
    assert engine.get(index_name, "i004") == {"item_id": "i004", "stock": 3}
    assert written(engine, index_name) == []
    settings = SETTINGS.model_copy(update={"properties": {"stock": {"type": "integer"}}})
    plan = plan_for(engine, index_name, NEXT, settings=settings)
    publish(engine, plan, documents=stream(), users=users(), settings=settings)
    assert (
        engine.get(
            index_name,
            "i004",
        )["stock"]
        == 3
    )  # type: ignore[index]


@pytest.mark.parametrize("cure", ["doctor", "next publish"])
def test_killed_while_owners_are_kept_out(
    engine: Engine, engine_url: str, index_name: str, published: Publisher, cure: str
) -> None:
    """A process of its own kills itself -9 right before the switch."""
    first = published(NIGHT)
    code = f"""
        import os, signal
        from es_ranking.engine.rest import RestEngine
        from tests.es_ranking.publish.shop import publish_at

        RestEngine.update_aliases = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        publish_at({engine_url!r}, {index_name!r}, {NEXT!r}, 5)
    """
    victim = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    assert turn_of(engine, index_name) == 0
    assert written(engine, index_name) == [403]
    if cure == "doctor":
        assert mend(engine, index_name) == ["index.blocks.write"]
        assert written(engine, index_name) == []
        return
    publish_night(engine, index_name, NEXT, turn=5)
    assert turn_of(engine, index_name) == 5
    assert written(engine, index_name) == []
    assert [found.generation.id == first.generation for found in generations(engine, index_name)] == [True, False]
    assert len(engine.indices(f"{index_name}*")) == 6


def test_an_hour_keeps_what_owners_have_brought_and_taken_since_the_night(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    """Also an item that they have brought before the hour's tables had it, and one they took before those did."""
    published(NIGHT)
    mine = (BulkAction(index_name, "mine", {"item_id": "mine"}), BulkAction(index_name, "i099", {"item_id": "i099"}),
            BulkAction(index_name, "i000", None, "delete"), BulkAction(index_name, "i001", None, "delete"))  # fmt: skip
    assert written(engine, index_name, *mine) == []
    plan = plan_delta(engine, index_name, run=HOUR, as_of="2017-11-27T01:00:00+00:00", written=1, added=1, removed=1)
    targets = begin(engine, plan)
    arrives = main_document({**item(99), "item_id": "i099"}, ranks(0), list_name="FOOD")
    report = write_documents(engine, targets.main, [("i099", arrives)], settings=SETTINGS)
    delete_documents(engine, targets.main, ["i000"], settings=SETTINGS)
    done = finish(engine, plan, SETTINGS, report=report)
    assert engine.mget(index_name, ["mine", "i099", "i000", "i001"]) == [{"item_id": "mine"}, arrives, None, None]
    assert done.documents == engine.count(index_name)
    # The copy knows what of it is theirs: the night's tables overrule it.
    owned: list[str] = []

    def compare(_: object, ids: Sequence[str]) -> dict[str, Changes]:
        owned.extend(ids)
        return {}

    assert plan_for(engine, index_name, NEXT, compare=compare).replaces == done.generation
    assert {"mine", "i099"} <= set(owned)


def test_owners_who_wrote_before_the_night_meet_its_tables_in_a_copy_too(
    engine: Engine, index_name: str, published: Publisher
) -> None:
    first = published(NIGHT)
    known: list[list[str]] = []

    def plan(*, before: int = 40) -> PublishPlan:
        def compare(_: object, owned: Sequence[str]) -> dict[str, Changes]:
            known.append(sorted(owned))
            return {index_name: Changes(changed=len(owned), same=before - len(owned))}

        return plan_for(engine, index_name, NEXT, compare=compare)

    assert plan().clones
    actions = (BulkAction(index_name, "i004", {"item_id": "i004"}), BulkAction(index_name, "mine", {"item_id": "mine"}))
    assert written(engine, index_name, *actions) == []
    assert plan(before=41).changes[index_name]["changed"] == 2
    # One more, one less: the count is the same, and nobody is deceived.
    assert written(engine, index_name, BulkAction(index_name, "i005", None, "delete")) == []
    assert "owners have deleted documents" in plan(before=41).why
    assert known == [[], ["i004", "mine"], ["i004", "mine"]]
    several = [BulkAction(index_name, name, {"item_id": name}) for name, _ in documents(items=20)]
    assert written(engine, index_name, *several) == []
    assert "owners have written too much" in plan().why
    assert first.generation == plan().replaces
