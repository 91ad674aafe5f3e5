"""The whole composition on a real engine: campaigns, boosts, expression, downrank, pins, gaps and crowds together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.policy.document import Policy
from es_ranking.policy.effective import Place, effective
from es_ranking.policy.live import GivenPolicy, LivePolicies
from es_ranking.policy.store import PolicyStore
from es_ranking.query import recommended, rewrite
from es_ranking.scripts.store import BOOSTS
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop
from tests.es_ranking.twiddlers.worlds import ids, read

ALIAS = "t-policy"
KEY = b"a key of sixteen bytes or more"
N = 120
FOOD = {"query": {"bool": {"filter": [{"terms": {"list": ["SOUP", "TEA", "RICE"]}}]}}}
FULL = Surface.of(
    {**SURFACE.model_dump(), "at_once": 60, "twiddlers": [
        *(one.model_dump() for one in SURFACE.twiddlers),
        {"kind": "crowding", "look_ahead": 40, "crowds": [
            {"attribute": "brand_id", "most": 2, "first": 8, "priority": 3}]}]}
)  # fmt: skip
POLICY = Policy.of(
    {"campaigns": [
        {"name": "house", "exclusions": [{"items": ["p003"]}, {"where": {"brand_id": ["fizz"]}}],
         "pins": [{"item": "p003", "slot": 1}, {"item": "p050", "slot": 3}, {"item": "p051", "slot": 7}]},
        {"name": "tea time", "starts": "2017-11-27T12:30", "ends": "2017-11-27T20:00", "zone": "Europe/Berlin",
         "priority": 5, "surfaces": ["shelf"],
         "boosts": [{"where": {"list": ["TEA"]}, "factor": 1.8}, {"items": ["p009", "p060"], "factor": 30}],
         "buries": [{"where": {"brand_id": ["acme"]}, "factor": 0.6}],
         "pins": [{"item": "p052", "slot": 3}],
         "expressions": [{"name": "cheap", "expression": "score / (1 + price / 10) - n_view", "depth": 25}]},
        {"name": "evening", "starts": "2017-11-27T18:00", "zone": "Europe/Berlin",
         "exclusions": [{"where": {"list": ["SOUP"]}}]},
    ]}
)  # fmt: skip
GIVEN = GivenPolicy(POLICY)


@pytest.fixture(scope="module")
def documents(engine: Engine) -> Iterator[dict[str, dict[str, Any]]]:
    _close(engine)
    yield open_shop(engine, ALIAS, shards=3, n=N)
    _close(engine)


@pytest.fixture
def store(engine: Engine) -> Iterator[PolicyStore]:
    kept = PolicyStore(engine, ALIAS)
    yield kept
    engine.delete_index(kept.index, missing_ok=True)


def _close(engine: Engine) -> None:
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


def seen(*items: str, kind: str = "view") -> MemoryActionStore:
    store = MemoryActionStore()
    actions = [Action("ann", one, kind, NOON - timedelta(hours=1 + n), f"{one}:{n}") for one in items for n in range(2)]
    store.record(actions)
    return store


def expected(
    documents: dict[str, dict[str, Any]], lists: set[str] | None, surface: Surface, policy: Policy,
    actions: MemoryActionStore | None = None, at: datetime = NOON,
) -> list[str]:  # fmt: skip
    """The pure planner over the whole catalogue: what the engine must agree with."""
    wanted = effective(policy, Place(at, surface.name, "B", "d_young", FOOD["query"] if lists else {}))
    hits = [
        Hit(item, document["rank"]["B"].get("d_young"),
            {name: (document[name],) for name in ("brand_id", "list", "price") if name in document})
        for item, document in documents.items()
        if lists is None or document["list"] in lists
    ]  # fmt: skip
    hits = [hit for hit in hits if not any(rule.matches(hit) for rule in wanted.exclusions)]
    hits.sort(key=lambda hit: (hit.score is None, -(hit.score or 0.0), hit.item_id))
    facts = Facts(actions.counts("ann", at, timedelta(days=7)) if actions else {}, {hit.item_id: hit for hit in hits})
    built = [one.build(facts) for one in wanted.joined(surface.twiddlers)]
    return ids(read(Planner([one for one in built if not one.idle]), hits, len(hits)))


@pytest.mark.parametrize("lists", [None, {"SOUP", "TEA", "RICE"}], ids=["everything", "lists"])
@pytest.mark.parametrize("surface", [FULL, Surface(name="shelf")], ids=["all twiddlers", "policy alone"])
def test_all_ways_give_the_planners_order(
    engine: Engine, documents: dict[str, dict[str, Any]], surface: Surface, lists: set[str] | None
) -> None:
    body, actions = (FOOD if lists else {}), seen("p009", "p010", "p052", "p070")
    asked: dict[str, Any] = {"user": "ann", "at": NOON, "surface": surface, "actions": actions, "policies": GIVEN}
    whole = expected(documents, lists, surface, POLICY, actions)
    for way in ("at_once", "plan_then_fetch", "script"):
        for start, size in ((0, 10), (10, 7), (0, N)):
            page = recommended(engine, ALIAS, {**body, "from": start, "size": size}, way=way, **asked)
            assert page.items == whole[start : start + size], (way, start, size)
            assert not page.flags
    page = recommended(engine, ALIAS, {**body, "size": N, "track_total_hits": True}, explain=True, **asked)
    assert page.campaigns == ("tea time", "house")
    others = {item: slot for item, slot in (("p003", 1), ("p052", 3), ("p051", 7)) if item not in whole}
    assert "p003" in others
    assert set(page.overruled) == {"house: pin of p050 at 3: another campaign's comes first"} | {
        f"{'tea time' if item == 'p052' else 'house'}: pin of {item} at {slot}: does not match the query"
        for item, slot in others.items()
    }
    assert page.total == len(whole), "what is excluded is not counted either"
    assert "p003" not in page.items, "an exclusion wins over a pin"
    assert not any(hit.source.get("brand_id") == "fizz" for hit in page.hits)
    reasons = {(move.stage, move.reason) for hit in page.hits for move in hit.moves}
    assert ("boosts", "score x 30 by tea time") in reasons
    assert any(stage == "scripted" and reason.startswith("cheap: ") for stage, reason in reasons)
    for item, slot in (("p052", 3), ("p051", 7)):
        if lists is None or documents[item]["list"] in lists:
            assert page.items[slot - 1] == item
        else:
            assert item not in page.items, "a pin outside the caller's filter is not shown"


def test_campaigns_hold_at_their_time_and_on_their_surface(
    engine: Engine, documents: dict[str, dict[str, Any]]
) -> None:
    def campaigns(at: datetime, surface: Surface = FULL, twiddlers: list[str] | None = None) -> tuple[str, ...]:
        page = recommended(engine, ALIAS, FOOD, user="ann", at=at, surface=surface, policies=GIVEN, twiddlers=twiddlers)
        assert page.items == expected(documents, {"SOUP", "TEA", "RICE"}, surface, POLICY, at=at)[:10] or twiddlers
        return page.campaigns

    assert campaigns(NOON) == ("tea time", "house")
    assert campaigns(datetime(2017, 11, 27, 11, 29, tzinfo=UTC)) == ("house",), "12:30 in Berlin is 11:30 UTC"
    assert campaigns(datetime(2017, 11, 27, 17, 30, tzinfo=UTC)) == ("tea time", "house", "evening")
    assert campaigns(NOON, Surface(name="other")) == ("house",)
    off = recommended(engine, ALIAS, FOOD, user="ann", at=NOON, surface=FULL, policies=GIVEN, twiddlers=[])
    plain = recommended(engine, ALIAS, {**FOOD, "size": N}, user="ann", at=NOON)
    shown = [hit.item for hit in plain.hits if hit.item != "p003" and hit.source.get("brand_id") != "fizz"]
    assert off.items == shown[:10], "twiddlers can be switched off, exclusions cannot"


def test_pages_keep_to_the_policy_of_the_first_one(
    engine: Engine, documents: dict[str, dict[str, Any]], store: PolicyStore
) -> None:
    store.put(store.next(POLICY, by="ann", at=NOON))
    live = LivePolicies(engine, fresh_seconds=0.0, timeout_seconds=None)
    asked: dict[str, Any] = {"user": "ann", "surface": FULL, "policies": live, "key": KEY}
    whole = expected(documents, {"SOUP", "TEA", "RICE"}, FULL, POLICY)
    page = recommended(engine, ALIAS, {**FOOD, "size": 7}, at=NOON, **asked)
    assert page.policy == 1
    store.put(store.next(Policy(), by="bob", at=NOON))
    items = list(page.items)
    later = NOON + timedelta(hours=6)
    for size in (5, 9, 40, 40, 40):
        # the evening's campaign has begun meanwhile: not for this reader
        page = recommended(engine, ALIAS, {**FOOD, "size": size}, cursor=page.cursor, now=None, **asked)
        assert page.policy == 1
        items += page.items
        if page.cursor is None:
            break
    assert items == whole
    fresh = recommended(engine, ALIAS, {**FOOD, "size": 7}, at=later, **asked)
    assert (fresh.policy, fresh.campaigns) == (2, ())
    assert fresh.items == expected(documents, {"SOUP", "TEA", "RICE"}, FULL, Policy())[:7]


def test_boosts_alone_are_one_script_without_a_plan(engine: Engine, documents: dict[str, dict[str, Any]]) -> None:
    rules = {"boosts": [{"where": {"list": ["TEA"]}, "factor": 1.8}], "buries": [{"items": ["p007"], "factor": 0.1}]}
    given = GivenPolicy(Policy.of({"campaigns": [{"name": "one", **rules}]}))
    alone = Surface(name="shelf")
    by = rewrite(engine, ALIAS, {**FOOD, "size": N}, user="ann", policies=given)
    assert by.body["sort"][0]["_script"]["script"]["id"] == BOOSTS.id
    order = [hit["sort"][-1] for hit in engine.search(by.index, by.body)["hits"]["hits"]]
    assert order == expected(documents, {"SOUP", "TEA", "RICE"}, alone, given.document)
    page = recommended(engine, ALIAS, {**FOOD, "size": 5}, user="ann", policies=given)
    assert (page.items, page.requests) == (order[:5], 2), "window and strands in one; what stood below the window"


def test_a_group_is_represented_by_the_item_that_the_boosts_put_first(
    engine: Engine, documents: dict[str, dict[str, Any]]
) -> None:
    given = GivenPolicy(
        Policy.of({"campaigns": [{"name": "one", "boosts": [{"where": {"list": ["TEA"]}, "factor": 50}]}]})
    )
    body = {"collapse": {"field": "brand_id"}, "size": 20, "query": {"exists": {"field": "brand_id"}}}
    page = recommended(engine, ALIAS, body, user="ann", policies=given)
    order = [
        item for item in expected(documents, None, Surface(name="x"), given.document) if "brand_id" in documents[item]
    ]
    brands = [documents[item]["brand_id"] for item in order]
    assert page.items == [item for n, item in enumerate(order) if brands[n] not in brands[:n]]


def test_a_policy_that_the_engine_refuses_is_given_up_and_not_the_search(
    engine: Engine, documents: dict[str, dict[str, Any]], store: PolicyStore
) -> None:
    by_hand = {"campaigns": [{"name": "bad", "boosts": [{"where": {"title": ["rice"]}, "factor": 2}]}]}
    document = {"version": 1, "at": NOON.isoformat(), "by": "hand", "note": "", "changes": [], "policy": by_hand}
    assert not engine.bulk([BulkAction(store.index, "1", document)], refresh=True).errors
    asked: dict[str, Any] = {
        "user": "ann",
        "at": NOON,
        "surface": FULL,
        "policies": LivePolicies(engine, timeout_seconds=None),
        "key": KEY,
    }
    page = recommended(engine, ALIAS, {**FOOD, "size": 20}, **asked)
    whole = expected(documents, {"SOUP", "TEA", "RICE"}, FULL, Policy())
    assert (page.items, page.flags, page.policy) == (whole[:20], ("policy_unavailable",), 0)
    asked["at"] = None
    page = recommended(engine, ALIAS, {**FOOD, "size": 20}, cursor=page.cursor, **asked)
    assert (page.items, page.flags) == (whole[20:40], ("policy_unavailable",)), "and so are the next pages"


def test_a_variant_brings_its_own_parameters(engine: Engine, documents: dict[str, dict[str, Any]]) -> None:
    surface = Surface.of(
        {"name": "shelf",
         "twiddlers": [{"kind": "downrank", "window_days": 7, "actions": {"view": {"factor": 0.5}}}],
         "variants": {"B1": [{"kind": "downrank", "window_days": 7, "actions": {"view": {"not_in_first": 6}}}]}}
    )  # fmt: skip
    actions = seen(*expected(documents, None, Surface(name="x"), Policy())[:3])
    asked: dict[str, Any] = {"segment": "d_young", "user": "ann", "at": NOON, "actions": actions, "key": KEY}
    for variant in ("B", "B1"):
        page = recommended(engine, ALIAS, {"size": 8}, surface=surface, variant=variant, **asked)
        ours = surface.model_copy(update={"twiddlers": surface.twiddlers_of(variant), "variants": {}})
        same = recommended(engine, ALIAS, {"size": 8}, surface=ours, variant=variant, **asked)
        assert page.items == same.items
        by_script = recommended(engine, ALIAS, {"size": 8}, surface=surface, variant=variant, way="script", **asked)
        assert page.items == by_script.items
        following = recommended(engine, ALIAS, {"size": 8}, surface=surface, variant=variant, cursor=page.cursor,
                                **{**asked, "at": None})  # fmt: skip
        assert not set(following.items) & set(page.items)
    viewed = set(actions.counts("ann", NOON, timedelta(days=7)))
    assert not viewed & set(page.items[:6]), "the degree of B1"
