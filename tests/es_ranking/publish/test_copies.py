"""A night of which little changed is written into copies: when, what comes out, and a crash at every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from es_ranking.engine.contract import Body, BulkAction, Engine
from es_ranking.engine.errors import EngineBusy
from es_ranking.publish.begin import begin
from es_ranking.publish.changes import Changes
from es_ranking.publish.delta import delete_documents, plan_delta
from es_ranking.publish.documents import main_document, user_document
from es_ranking.publish.finish import Finished, finish
from es_ranking.publish.generation import WRITING, Published, generations, serving, users_alias, why_alias
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.write import WriteReport, write_documents
from es_ranking.reindex.plan import plan_reindex
from es_ranking.reindex.run import reindex
from es_ranking.reindex.settings import ReindexSettings
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.shop import ITEMS, SETTINGS, documents, item, plan_for, ranks, reasons, users

NIGHTS = ("20171127T000000", "20171128T000000", "20171129T000000")
Documents = dict[str, Mapping[str, Any]]


def night_of(alias: str, number: int) -> dict[str, Documents]:
    """alias → documents of a night; in the second an item is new, one is gone and one has other ranks."""
    main, why, everybody = dict(documents()), dict(reasons()), dict(users())
    if number:
        del main["i005"], everybody["u2"]
        main["i003"] = main_document(item(3), ranks(0), list_name="FOOD")
        main["i099"] = main_document({**item(99), "item_id": "i099"}, ranks(7), list_name="FOOD")
        why["i003"] = why["i000"]
        everybody |= {"u1": user_document({"demographic": "d_old"}), "u3": user_document({})}
    return {alias: main, why_alias(alias): why, users_alias(alias): everybody}


def moved_ids(old: Documents, new: Documents) -> tuple[set[str], set[str], set[str]]:
    """(added, changed, removed)."""
    return new.keys() - old, {one for one in new.keys() & old if new[one] != old[one]}, old.keys() - new


def plan_of(engine: Engine, alias: str, number: int, *, known: tuple[str, ...] = (), **changed: Any) -> PublishPlan:
    """The plan of a night; `known` aliases can be compared with the night before."""
    old, new = night_of(alias, number - 1), night_of(alias, number)

    def compare(now: Published, owned: Sequence[str]) -> dict[str, Changes]:
        assert now.meta.run == NIGHTS[number - 1]
        served = {**old, alias: {**old[alias], **{one: {} for one in owned}}}
        sizes = {name: tuple(map(len, moved_ids(served[name], new[name]))) for name in known}
        return {name: Changes(*moved, same=len(new[name]) - moved[0] - moved[1]) for name, moved in sizes.items()}

    values = {"documents": len(new[alias]), "users": len(new[users_alias(alias)]), "compare": compare, **changed}
    return plan_for(engine, alias, NIGHTS[number], **values)


def publish_night(engine: Engine, alias: str, number: int, **planned: Any) -> tuple[PublishPlan, Finished]:
    plan = plan_of(engine, alias, number, **planned)
    begin(engine, plan)
    report = WriteReport()
    for name, new in night_of(alias, number).items():
        due, target = new, plan.indices[name] + WRITING
        if name in plan.clones:
            added, moved, removed = moved_ids(night_of(alias, number - 1)[name], new)
            delete_documents(engine, target, removed, settings=SETTINGS)
            due = {one: new[one] for one in added | moved}
        report = report.add(write_documents(engine, target, due.items(), settings=SETTINGS))
    return plan, finish(engine, plan, SETTINGS, report=report)


def held(engine: Engine, alias: str) -> dict[str, Documents]:
    """What the engine holds under the alias and its side aliases."""
    names = (alias, why_alias(alias), users_alias(alias))
    hits = {name: engine.search(name, {"size": 100})["hits"]["hits"] for name in names}
    return {name: {hit["_id"]: hit["_source"] for hit in found} for name, found in hits.items()}


def test_a_copied_night_equals_a_whole_one_in_all_three_indices(engine: Engine, index_name: str) -> None:
    whole, copied = f"{index_name}-w", f"{index_name}-c"
    for alias in (whole, copied):
        publish_night(engine, alias, 0)
        assert held(engine, alias) == night_of(alias, 0)
    publish_night(engine, whole, 1)
    names = (copied, why_alias(copied), users_alias(copied))
    plan, finished = publish_night(engine, copied, 1, known=names, settings=SETTINGS)
    # Of the reasons half, of the users everything is another: these are not copied.
    assert plan.clones == {copied: f"{copied}-20171127t000000-1"}
    assert plan.changes == {copied: {"added": 1, "changed": 1, "removed": 1, "same": ITEMS - 2}}
    assert f"7.3% of {copied} differ: a copy is changed" in plan.why
    assert f"100.0% of {users_alias(copied)} differ: written whole" in plan.why
    assert held(engine, copied) == night_of(copied, 1)
    assert list(held(engine, copied).values()) == list(held(engine, whole).values())
    now = serving(engine, copied)
    assert now is not None
    assert now.generation.id == finished.generation
    # It is a whole night of its own: the next hour continues it, and it is kept as a night is.
    assert (now.meta.run, now.meta.night, now.meta.documents) == (NIGHTS[1], "", ITEMS)
    hour = plan_delta(engine, copied, run="20171128T010000", as_of="2017-11-28T01:00:00+00:00", written=0, added=0,
                      removed=0)  # fmt: skip
    assert hour.retires == ()
    assert plan_of(engine, copied, 2).retires == (f"{copied}-20171127t000000-1",)
    rollback(engine, plan_rollback(engine, copied))
    assert held(engine, copied) == night_of(copied, 0)


def test_the_threshold_is_for_each_index(engine: Engine, index_name: str) -> None:
    publish_night(engine, index_name, 0)
    known = (index_name, why_alias(index_name), users_alias(index_name))
    settings = SETTINGS.model_copy(update={"delta_below": 1.0})
    plan, _ = publish_night(engine, index_name, 1, known=known, settings=settings)
    # Everything of the users differs: that is not below any threshold.
    assert list(plan.clones) == [index_name, why_alias(index_name)]
    assert held(engine, index_name) == night_of(index_name, 1)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"delta_below": 0.0}, "delta_below is 0"),
        ({"delta_below": 0.05}, "7.3% of"),
        ({"shards": 2}, "number of shards"),
        ({"index_rank_fields": False}, "the mapping is another"),
        ({"keyword_attributes": ("colour",)}, "the mapping is another"),
        ({"analysis": {"analyzer": {"loud": {"type": "keyword"}}}}, "the analysers are others"),
    ],
)
def test_settings_that_need_a_whole_night(engine: Engine, index_name: str, changed: Any, why: str) -> None:
    publish_night(engine, index_name, 0)
    plan = plan_of(engine, index_name, 1, known=(index_name,), settings=SETTINGS.model_copy(update=changed))
    assert (plan.clones, plan.changes) == ({}, {})
    assert why in plan.why
    assert "written whole" in plan.why


def test_states_that_need_a_whole_night(engine: Engine, index_name: str) -> None:
    def why(number: int, **planned: Any) -> str:
        plan = plan_of(engine, index_name, number, **{"known": (index_name,), **planned})
        assert not plan.clones
        return plan.why

    assert why(1) == "nothing is published under this name yet"
    publish_night(engine, index_name, 0)
    assert "run 20171127T000000 cannot be compared with" in why(1, known=())
    assert "the item vectors are new" in why(1, space="other")
    assert "the mapping is another" in why(1, default_variant="A")
    assert "written anew" in plan_for(engine, index_name, NIGHTS[0], compare=lambda *_: {}).why
    publish_night(engine, index_name, 1, known=(index_name,))
    rollback(engine, plan_rollback(engine, index_name))
    assert "was rolled back to" in plan_for(engine, index_name, NIGHTS[2], compare=lambda *_: {}).why


def test_a_copy_never_holds_what_no_table_knows(engine: Engine, index_name: str) -> None:
    """After a reindex nobody can tell what owners have added from what the night's tables know."""
    publish_night(engine, index_name, 0)
    engine.bulk([BulkAction(index_name, "mine", {"item_id": "mine"})], refresh=True)
    reindex(engine, plan_reindex(engine, index_name, settings=ReindexSettings()), publish=SETTINGS, resume=False)
    plan, _ = publish_night(engine, index_name, 1, known=(index_name,))
    assert (plan.clones, "is not known" in plan.why) == ({}, True)
    assert held(engine, index_name) == night_of(index_name, 1)


class Full(FaultyEngine):
    """The engine, until it has no room for one more index of a name."""

    def clone_index(self, source: str, target: str, body: Body) -> None:
        raise EngineBusy("no room")


def test_a_beginning_that_fails_leaves_nothing_and_lets_owners_write(engine: Engine, index_name: str) -> None:
    publish_night(engine, index_name, 0)
    with pytest.raises(EngineBusy):
        publish_night(Full(engine), index_name, 1, known=(index_name,))  # type: ignore[arg-type]
    assert [found.half for found in generations(engine, index_name)] == [False]
    assert not engine.bulk([BulkAction(index_name, "i003", {"item_id": "i003"})]).errors


class Dying:
    """The engine, until the publisher dies just before one of its changes."""

    CHANGES = ("create_index", "clone_index", "put_mapping", "put_settings", "bulk", "refresh", "update_aliases")

    def __init__(self, engine: Engine, *, at: int | None = None) -> None:
        self._engine, self._at = engine, at
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._engine, name)
        if name not in self.CHANGES:
            return real

        def call(*given: Any, **named: Any) -> Any:
            if len(self.calls) == self._at:
                raise KeyboardInterrupt  # as a signal would: nothing is cleaned up
            self.calls.append(name)
            return real(*given, **named)

        return call


def test_a_crash_before_any_change_leaves_the_old_night(engine: Engine, index_name: str) -> None:
    counted = Dying(engine)
    publish_night(engine, f"{index_name}-n", 0)
    publish_night(counted, f"{index_name}-n", 1, known=(f"{index_name}-n",))  # type: ignore[arg-type]
    assert set(Dying.CHANGES) == set(counted.calls)
    assert counted.calls[-1] == "update_aliases"
    publish_night(engine, index_name, 0)
    for moment in range(len(counted.calls)):
        with pytest.raises(KeyboardInterrupt):
            publish_night(Dying(engine, at=moment), index_name, 1, known=(index_name,))  # type: ignore[arg-type]
        assert held(engine, index_name) == night_of(index_name, 0), counted.calls[: moment + 1]
        assert serving(engine, index_name).meta.run == NIGHTS[0]  # type: ignore[union-attr]
    publish_night(engine, index_name, 1, known=(index_name,))
    assert held(engine, index_name) == night_of(index_name, 1)
    assert [(found.meta.run, found.half) for found in generations(engine, index_name)] == [
        (NIGHTS[0], False), (NIGHTS[1], False)
    ]  # fmt: skip
