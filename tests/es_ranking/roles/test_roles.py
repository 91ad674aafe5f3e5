"""Each role does its day's work on a secured node, needs every one of its privileges for it, and can do no more."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.doctor import Patient, examine
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.engine.errors import EngineDenied, IndexMissing
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.transport import EngineConfig
from es_ranking.policy.document import Policy
from es_ranking.policy.fit import check_fields, unknown_items
from es_ranking.policy.live import LivePolicies
from es_ranking.policy.lures import LureDecisions, LureStore
from es_ranking.policy.store import PolicyStore
from es_ranking.publish.begin import abort, begin
from es_ranking.publish.delta import delete_documents, plan_delta
from es_ranking.publish.finish import finish
from es_ranking.publish.generation import generations, published_aliases
from es_ranking.publish.rollback import plan_rollback, rollback
from es_ranking.publish.write import write_documents
from es_ranking.query import recommended
from es_ranking.query.audience import Audience
from es_ranking.query.explain import explain
from es_ranking.query.exposures import propensities
from es_ranking.reindex.plan import plan_reindex
from es_ranking.reindex.run import reindex
from es_ranking.reindex.settings import ReindexSettings
from es_ranking.roles import ROLES, key_body, role_body
from es_ranking.scripts.store import SCRIPTS, put_scripts
from segments.errors import UsageError
from tests.es_ranking.publish.shop import ITEMS, NIGHT, SETTINGS, documents, plan_for, publish_night
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop
from tests.es_ranking.roles.keys import ask, key_of

HOUR, NEXT_NIGHT, THIRD_NIGHT = "20171127T010000", "20171128T000000", "20171129T000000"
SHOP = "t-roles"
KEY = b"a key of sixteen bytes or more"
POLICY = Policy.of({"campaigns": [{"name": "front", "pins": [{"item": "p007", "slot": 2}]}]})


def privileges(role: str) -> list[tuple[str, ...]]:
    """Path of each privilege in the role's body, see `key_of`."""
    body = role_body(role, ["a"])
    rules = enumerate(body["indices"])
    return [
        *(("cluster", name) for name in body["cluster"]),
        *(("indices", str(number), name) for number, rule in rules for name in rule["privileges"]),
    ]


# Of a role that extends another one, what it adds.
PRIVILEGES = [
    (role, path)
    for role in ROLES
    for path in privileges(role)
    if path not in {"operator": privileges("publisher"), "merchandiser": privileges("searcher")}.get(role, [])
]


class As(Protocol):
    """Opens an engine by a new key of a role."""

    def __call__(self, role: str, *, without: tuple[str, ...] = ()) -> RestEngine: ...


@pytest.fixture(scope="module")
def admin(secured: EngineConfig) -> Iterator[RestEngine]:
    engine = RestEngine(secured)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def shop(admin: RestEngine) -> Iterator[str]:
    """A published shop, with the stored scripts and one item's reasons."""
    reason = {"propensity": 0.5, "rank": 1, "list": "SOUP"}
    open_shop(admin, SHOP, n=30, why={"p001": {"B": dict.fromkeys(("all", "d_young"), reason)}})
    yield SHOP
    _remove(admin, SHOP)


@pytest.fixture
def alias(admin: RestEngine, shop: str, role: str) -> Iterator[str]:
    """What the role works on: a name of its own to publish under, or the shop as its day finds it."""
    name = f"t-{uuid.uuid4().hex[:12]}" if role in {"publisher", "operator"} else shop
    if role == "searcher":
        put_scripts(admin)
        store = PolicyStore(admin, shop)
        store.put(store.next(POLICY, by="root", at=NOON))
    yield name
    for own in (f"{shop}-policy", f"{shop}-lures") if name == shop else (name,):
        _remove(admin, own)


def _remove(admin: Engine, prefix: str) -> None:
    for state in admin.indices(f"{prefix}*"):
        admin.delete_index(state.name)


@pytest.fixture
def as_role(secured: EngineConfig, request: pytest.FixtureRequest) -> Iterator[As]:
    """For the alias of the test, or the shop."""
    name = request.getfixturevalue("alias" if "alias" in request.fixturenames else "shop")
    with ExitStack() as opened:

        def open_as(role: str, *, without: tuple[str, ...] = ()) -> RestEngine:
            return opened.enter_context(closing(RestEngine(key_of(secured, role, name, without=without))))

        yield open_as


def publisher(engine: Engine, alias: str) -> None:
    """A night, an hour on a clone of it, back, the next night, a third one given up, and the doctor."""
    # what the doctor asks at the end, so that a missing privilege shows at once
    engine.info()
    engine.health()
    assert PolicyStore(engine, alias).versions() == []
    put_scripts(engine)
    publish_night(engine, alias, NIGHT)
    hour = plan_delta(engine, alias, run=HOUR, as_of="2017-11-27T01:00:00+00:00", written=1, added=0, removed=1)
    targets = begin(engine, hour)
    report = write_documents(engine, targets.main, list(documents(turn=3))[5:6], settings=SETTINGS)
    delete_documents(engine, targets.main, ["i000"], settings=SETTINGS)
    finish(engine, hour, SETTINGS, report=report)
    rollback(engine, plan_rollback(engine, alias))
    publish_night(engine, alias, NEXT_NIGHT, turn=1)
    third = plan_for(engine, alias, THIRD_NIGHT)
    begin(engine, third)
    abort(engine, third)
    states = {found.meta.run: found.serving for found in generations(engine, alias)}
    assert states[NEXT_NIGHT]
    assert THIRD_NIGHT not in states
    assert published_aliases(engine) == [alias]
    patient = Patient(engine, None, (alias,), datetime(2017, 11, 28, tzinfo=UTC), max_age_hours=36.0)
    assert [finding for finding in examine(patient) if finding.state == "error"] == []


def operator(engine: Engine, alias: str) -> None:
    """A night, and a reindex that is begun slowly, then gone on with at full speed."""
    # what is asked of tasks later, so that a missing privilege shows at once
    assert engine.reindexing(alias) is None
    assert engine.copying("nobody:1") is None
    with suppress(IndexMissing):  # some releases say that there is no such task
        engine.rethrottle("nobody:1", None)
    publish_night(engine, alias, NIGHT)
    plan = plan_reindex(engine, alias, shards=2, settings=ReindexSettings())
    put_scripts(engine)
    targets = begin(engine, plan.publish)
    task = engine.start_reindex(plan.source, targets.main, requests_per_second=1, slices=2)
    engine.rethrottle(task, None)
    assert engine.copying(task) is not None
    done = reindex(engine, plan, publish=SETTINGS, resume=True)
    assert (done.documents, engine.get_alias(alias)) == (ITEMS, [done.generation])


def searcher(engine: Engine, alias: str) -> None:
    """Pages with a policy and recent actions, in every way; the reasons; the propensities of what was shown."""
    engine.info()
    assert [version.by for version in PolicyStore(engine, alias).versions()] == ["root"]
    actions = MemoryActionStore()
    actions.record([Action("ann", "p003", "purchase", NOON - timedelta(hours=1), "e1")])
    asked: dict[str, Any] = {"user": "ann", "surface": SURFACE, "actions": actions, "at": NOON, "key": KEY}
    for way in ("at_once", "plan_then_fetch", "script"):
        page = recommended(engine, alias, {"size": 7}, policies=LivePolicies(engine), way=way, **asked)
        assert (page.items[1], page.segment, page.flags) == ("p007", "d_young", ())
    following = recommended(engine, alias, {"size": 7}, policies=LivePolicies(engine), cursor=page.cursor, **asked)
    assert not set(following.items) & set(page.items)
    assert explain(engine, alias, "p001", user="ann")["kept"]
    assert propensities(engine, Audience(engine).resolve(alias), ["p001"]) == {"p001": 0.5}


def merchandiser(engine: Engine, alias: str) -> None:
    """A policy that fits the index and is seen by the next search, then another one."""
    engine.info()
    assert recommended(engine, alias, {"size": 5}, user="ann").items
    store = PolicyStore(engine, alias)
    for slot in (2, 3):
        policy = Policy.of({"campaigns": [{"name": "front", "pins": [{"item": "p007", "slot": slot}]}]})
        check_fields(engine, alias, policy)
        assert unknown_items(engine, alias, policy) == []
        store.put(store.next(policy, by="ann", at=NOON))
        page = recommended(engine, alias, {"size": 5}, policies=LivePolicies(engine), user="ann")
        assert page.items[slot - 1] == "p007"
    assert [version.version for version in store.versions()] == [2, 1]
    lures = LureStore(engine, alias)
    lures.put(lures.next(LureDecisions.of({"decisions": [{"item": "p007", "verdict": "deny"}]}), by="ann", at=NOON))
    assert lures.in_force().labels() == {"p007": 1}


DAYS: dict[str, Callable[[Engine, str], None]] = {
    "publisher": publisher, "operator": operator, "searcher": searcher, "merchandiser": merchandiser
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_a_day_of_each_role(as_role: As, alias: str, role: str) -> None:
    DAYS[role](as_role(role), alias)


@pytest.mark.parametrize(("role", "privilege"), PRIVILEGES, ids=[f"{role}-{path[-1]}" for role, path in PRIVILEGES])
def test_no_privilege_is_more_than_needed(
    secured: EngineConfig, as_role: As, alias: str, role: str, privilege: tuple[str, ...]
) -> None:
    if "script" in privilege[-1]:
        for script in SCRIPTS.values():
            ask(secured, "DELETE", f"/_scripts/{script.id}")
    # The engine names the action, or the privileges that would have allowed it.
    with pytest.raises(EngineDenied, match=re.escape(privilege[-1])):
        DAYS[role](as_role(role, without=privilege), alias)


DEEDS: dict[str, Callable[[Engine, str], Any]] = {
    "search": lambda engine, index: engine.search(index, {}),
    "msearch": lambda engine, index: engine.msearch([(index, {})]),
    "count": lambda engine, index: engine.count(index),
    "get": lambda engine, index: engine.get(index, "1"),
    "size": lambda engine, index: engine.size(index),
    "mapping": lambda engine, index: engine.put_mapping(index, {"properties": {"more": {"type": "long"}}}),
    "settings": lambda engine, index: engine.put_settings(index, {"index.blocks.write": True}),
    "refresh": lambda engine, index: engine.refresh(index),
    "alias": lambda engine, index: engine.update_aliases([{"add": {"index": index, "alias": f"{index}-x"}}]),
    "clone": lambda engine, index: engine.clone_index(index, f"{index}-2", {}),
    "create": lambda engine, index: engine.create_index(f"{index}-3", {}),
    "delete": lambda engine, index: engine.delete_index(index),
}
WRITING = {"mapping", "settings", "refresh", "alias", "clone", "create", "delete"}


def takes(engine: Engine, action: BulkAction) -> bool:
    """Whether the engine takes the action from this user."""
    try:
        return not engine.bulk([action]).errors
    except EngineDenied:
        return False


@pytest.mark.parametrize("role", ROLES)
def test_other_indices_are_out_of_reach(admin: RestEngine, as_role: As, shop: str, role: str) -> None:
    """Those of other products, and those whose names begin as ours do."""
    engine = as_role(role)
    for other in (f"{shop}-de-20171127t000000-1", f"x-{shop}"):
        admin.create_index(other, {"settings": {"index.number_of_replicas": 0}})
        assert takes(admin, BulkAction(other, "1", {"ids": ["p001"]}))
        for deed in DEEDS.values():
            with pytest.raises(EngineDenied):
                deed(engine, other)
        assert not takes(engine, BulkAction(other, "2", {}))
        with pytest.raises(EngineDenied):
            engine.search(shop, {"query": {"terms": {"item_id": {"index": other, "id": "1", "path": "ids"}}}})
        with pytest.raises(EngineDenied):
            engine.update_aliases([{"add": {"index": other, "alias": shop}}])
        assert other not in [state.name for state in engine.indices("*")]
        admin.refresh(other)
        assert admin.count(other) == 1
        admin.delete_index(other)
    cluster = {"persistent": {"action.auto_create_index": "false"}}
    for method, path, body in (("PUT", "/_security/role/mine", {"cluster": ["all"]}),
                               ("POST", "/_security/api_key", {"name": "mine"}),
                               ("PUT", "/_cluster/settings", cluster)):  # fmt: skip
        assert ask(engine.config, method, path, body).status == 403


@pytest.mark.parametrize("role", ["searcher", "merchandiser"])
def test_who_searches_changes_no_rank(admin: RestEngine, as_role: As, shop: str, role: str) -> None:
    engine = as_role(role)
    (index,) = admin.get_alias(shop)
    for name in (shop, index):
        for deed in WRITING:
            with pytest.raises(EngineDenied):
                DEEDS[deed](engine, name)
        assert not takes(engine, BulkAction(name, "p001", {}))
        assert not takes(engine, BulkAction(name, "p001", None, "delete"))
    with pytest.raises(EngineDenied):
        publish_night(engine, shop, NEXT_NIGHT)
    with pytest.raises(EngineDenied):
        put_scripts(engine)
    admin.refresh(shop)
    assert (admin.count(shop), admin.get_alias(shop)) == (30, [index])


@pytest.mark.parametrize("role", ["merchandiser"])
def test_a_policy_that_was_put_is_never_written_over(as_role: As, alias: str, role: str) -> None:
    engine = as_role(role)
    store = PolicyStore(engine, alias)
    store.put(store.next(POLICY, by="ann", at=NOON))
    assert not takes(engine, BulkAction(store.index, "1", {"by": "nobody"}))
    assert not takes(engine, BulkAction(store.index, "1", None, "delete"))
    with pytest.raises(EngineDenied):
        engine.delete_index(store.index)
    for other in ("publisher", "searcher"):
        reader = PolicyStore(as_role(other), alias)
        assert [version.by for version in reader.versions()] == ["ann"]
        with pytest.raises(EngineDenied):
            reader.put(reader.next(Policy(), by="eve", at=NOON))


def test_a_role_is_put_as_it_is_printed(secured: EngineConfig) -> None:
    for role in ROLES:
        body = role_body(role, ["products", "banners"])
        assert ask(secured, "PUT", f"/_security/role/t-{role}", body).status == 200
        held = ask(secured, "GET", f"/_security/role/t-{role}").body[f"t-{role}"]
        assert [rule["names"] for rule in held["indices"]] == [rule["names"] for rule in body["indices"]]
        assert ask(secured, "DELETE", f"/_security/role/t-{role}").status == 200


def test_names_are_those_of_the_alias_and_no_other() -> None:
    (ours, _) = role_body("publisher", ["shop.v1"])["indices"]
    pattern = re.compile(ours["names"][-1].strip("/"))
    for index in ("shop.v1-20171127t000000-1", "shop.v1-why-20171127t000000-12", "shop.v1-20171127t000000-1-writing"):
        assert pattern.fullmatch(index)
    for index in ("shopxv1-20171127t000000-1", "shop.v1-de-20171127t000000-1", "shop.v1-policy", "shop.v1-2017"):
        assert not pattern.fullmatch(index)
    assert key_body("searcher", ["a", "b"], expiration="90d") == {
        "name": "es-ranking-searcher-a-b",
        "role_descriptors": {"es-ranking-searcher-a-b": role_body("searcher", ["a", "b"])},
        "expiration": "90d",
    }


@pytest.mark.parametrize(("role", "alias"), [("king", "a"), ("searcher", "*"), ("searcher", "A"), ("searcher", "a/")])
def test_what_cannot_be_meant(role: str, alias: str) -> None:
    with pytest.raises(UsageError):
        role_body(role, [alias])
