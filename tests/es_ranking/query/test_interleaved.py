"""Two variants on one page, on a real engine: whose pick each place was, with the page's promises kept over both."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from es_ranking.actions.contract import Action, ActionsUnavailable, Counts
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import Engine
from es_ranking.experiments.document import Experiments
from es_ranking.experiments.edit import forcing, killed, with_ratios
from es_ranking.experiments.live import GivenExperiments
from es_ranking.query import recommended, rewrite
from es_ranking.query.explain import explain
from es_ranking.query.exposures import EXPOSURES_MAPPING, EngineExposureLog, JsonLinesExposureLog
from es_ranking.query.page import Page
from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError
from tests.contracts import pages
from tests.es_ranking.query.shop import NOON, SURFACE, open_shop
from tests.es_ranking.query.test_recommended import KEY, PINNED, bought

N = 80
PAIR = "A+B1"
HERE = with_ratios(Experiments(), "duel", {PAIR: 1.0})


def shown(engine: Engine, index: str, body: dict[str, Any] | None = None, **given: Any) -> Page:
    options: dict[str, Any] = {"user": "ann", "at": NOON, "key": KEY, "experiments": GivenExperiments(HERE), **given}
    return recommended(engine, index, {"size": N, **(body or {})}, **options)


def test_a_list_of_two_is_their_draft_each_for_the_user_s_own_segment(engine: Engine, index_name: str) -> None:
    documents = open_shop(engine, index_name, n=N)
    alone = [shown(engine, index_name, variant=variant) for variant in ("A", "B1")]
    assert [page.segment for page in alone] == ["all", "g_gold"]
    page = shown(engine, index_name)
    assert (page.variant, page.experiment, page.flags, page.way) == (PAIR, "duel", (), "plan_then_fetch")
    teams = [hit.team for hit in page.hits]
    pages.nothing_lost_nothing_twice(page.items, documents)
    for variant, its in zip(("A", "B1"), alone, strict=True):
        picks = [item for item, team in zip(page.items, teams, strict=True) if team == variant]
        assert len(picks) > N / 4
        assert picks == sorted(picks, key=its.items.index)
    # each pick is the best of its team's list that is not there yet
    there: set[str] = set()
    by_name = dict(zip(("A", "B1"), alone, strict=True))
    for item, team in zip(page.items, teams, strict=True):
        for name in (team,) if team else by_name:
            assert item == next(one for one in by_name[name].items if one not in there)
        there.add(item)
    assert page.total == N
    assert shown(engine, index_name).items == page.items
    others = {tuple(shown(engine, index_name, at=NOON + timedelta(seconds=n)).items) for n in range(5)}
    assert len(others) == 5, "coins are thrown anew for another time"


def test_gaps_and_pins_hold_across_the_teams(engine: Engine, index_name: str) -> None:
    documents = open_shop(engine, index_name, n=N)
    actions = bought(*sorted(documents)[:6])
    page = shown(engine, index_name, surface=PINNED, actions=actions, explain=True)
    gaps = next(one.gaps for one in SURFACE.twiddlers if one.kind == "interval")
    order = [
        Hit(item, None, {gap.attribute: (documents[item][gap.attribute],) for gap in gaps
                         if gap.attribute in documents[item]})
        for item in page.items
    ]  # fmt: skip
    pins = {"p007": 2, "p011": 9}
    relaxed = 0 if page.certificate == "exact" else int(page.certificate[len("relaxed(") : -1])
    pages.nothing_lost_nothing_twice(page.items, documents)
    pages.pins_at_their_slots(page.items, pins)
    pages.gaps_kept_or_counted(order, gaps, pins, relaxed)
    assert relaxed < 20
    assert {hit.item: hit.team for hit in page.hits if hit.item in pins} == dict.fromkeys(pins)
    stages = {move.stage for hit in page.hits for move in hit.moves}
    assert {"interleave", "interval", "pins", "downrank"} <= stages
    assert page.to_dict()["hits"][2]["team"] in {"A", "B1"}
    # the three ways, and the caller's own query, give the same order
    script = shown(engine, index_name, surface=PINNED, actions=actions, way="script")
    assert script.items == page.items
    body = rewrite(engine, index_name, {"size": N}, user="ann", at=NOON, surface=PINNED, actions=actions, variant=PAIR)
    assert [hit["_id"] for hit in engine.search(body.index, body.body)["hits"]["hits"]] == page.items


@pytest.mark.parametrize("surface", [None, PINNED], ids=["plain", "twiddled"])
def test_pages_are_slices_of_one_list(engine: Engine, index_name: str, surface: Surface | None) -> None:
    open_shop(engine, index_name, n=N)
    given: dict[str, Any] = {"surface": surface} if surface else {}
    whole = shown(engine, index_name, **given)
    cursor: str | None = None

    def page(start: int, size: int) -> list[str]:
        nonlocal cursor
        # what the experiment says by now decides nothing: the list was begun
        off = GivenExperiments(killed(HERE, "duel"))
        found = shown(engine, index_name, {"size": size}, cursor=cursor, experiments=off if cursor else
                      GivenExperiments(HERE), **given)  # fmt: skip
        assert (found.variant, found.experiment) == (PAIR, "duel")
        assert [hit.team for hit in found.hits] == [hit.team for hit in whole.hits[start : start + size]]
        cursor = found.cursor
        return found.items

    assert pages.slices_of_one_sequence(whole.items, page, lambda: 7) > 10
    assert cursor is None


def test_what_is_shown_says_whose_pick_it_was(engine: Engine, index_name: str, tmp_path: Path) -> None:
    open_shop(engine, index_name, n=N, why={"p001": {"A": {"all": {"propensity": 0.5}}}})
    log = JsonLinesExposureLog(tmp_path / "shown.jsonl")
    page = shown(engine, index_name, exposures=log)
    rows = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(row["item_id"], row["team"]) for row in rows] == [(hit.item, hit.team) for hit in page.hits]
    assert {(row["variant"], row["experiment"], row["share"], row["propensity"]) for row in rows} == {
        (PAIR, "duel", 1.0, None)
    }
    # an index of exposures from before has no `team`
    older = {name: kind for name, kind in EXPOSURES_MAPPING["properties"].items() if name != "team"}
    engine.create_index(f"{index_name}-shown", {"mappings": {"dynamic": "strict", "properties": older}})
    assert shown(engine, index_name, exposures=EngineExposureLog(engine, f"{index_name}-shown")).flags == ()


def test_who_gets_what(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=10)
    third = with_ratios(Experiments(), "duel", {"A": 0.4, "B1": 0.4, PAIR: 0.2})
    got = Counter(
        shown(engine, index_name, user=f"u{n}", experiments=GivenExperiments(third)).variant for n in range(60)
    )
    assert set(got) == {"A", "B1", PAIR}
    tester = GivenExperiments(forcing(killed(third, "duel", undo=True), "duel", {"boss": PAIR}))
    assert shown(engine, index_name, user="boss", experiments=tester).variant == PAIR
    assert shown(engine, index_name, experiments=GivenExperiments(killed(HERE, "duel"))).variant == "A"
    gone = GivenExperiments(with_ratios(Experiments(), "duel", {"A+B9": 1.0}))
    assert shown(engine, index_name, experiments=gone).flags == ("variant_missing",)
    assert shown(engine, index_name, variant=PAIR).experiment is None, "what a caller asks for is no experiment's"


def test_groups_are_not_interleaved(engine: Engine, index_name: str) -> None:
    """Which hit stands for its group would be another one in each list."""
    open_shop(engine, index_name, n=N)
    page = shown(engine, index_name, {"collapse": {"field": "list"}})
    assert (page.variant, page.experiment, page.flags) == ("A", None, ("not_interleaved",))
    with pytest.raises(UsageError, match="cannot be interleaved"):
        shown(engine, index_name, {"collapse": {"field": "list"}}, variant=PAIR)
    with pytest.raises(UsageError, match="two variants"):
        explain(engine, index_name, "p001", variant=PAIR)


def test_what_one_variant_leaves_out_the_page_leaves_out(engine: Engine, index_name: str) -> None:
    documents = open_shop(engine, index_name, n=N)
    hidden = sorted(documents)[:5]
    hides = [{"kind": "downrank", "window_days": 7, "actions": {"hide": {"exclude": True}}}]
    for variant in ("A", "B1"):
        surface = Surface.of({"name": "shelf", "variants": {variant: hides}})
        page = shown(engine, index_name, surface=surface, actions=bought(*hidden, kind="hide"))
        pages.nothing_lost_nothing_twice(page.items, set(documents) - set(hidden))
        assert page.total == N - len(hidden)


def test_a_store_that_goes_down_between_the_two_lists(engine: Engine, index_name: str) -> None:
    """Both go without it, as their next pages will."""
    documents = open_shop(engine, index_name, n=N)

    class Failing(MemoryActionStore):
        left = 1

        def counts(self, user: str, as_of: datetime, window: timedelta) -> Counts:
            self.left -= 1
            if self.left < 0:
                raise ActionsUnavailable("down")
            return super().counts(user, as_of, window)

    store = Failing()
    store.record([Action("ann", item, "purchase", NOON - timedelta(hours=1), item) for item in sorted(documents)[:40]])
    page = shown(engine, index_name, {"size": 20}, surface=SURFACE, actions=store)
    assert (store.left, page.flags) == (-1, ("actions_unavailable",))
    without = shown(engine, index_name, {"size": 20}, surface=SURFACE)
    assert page.items == without.items
    store.left = 2
    assert shown(engine, index_name, {"size": 20}, surface=SURFACE, actions=store).items != without.items
