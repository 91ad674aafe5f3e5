"""What every recent-action store keeps: enrol one by a subclass with a `store` fixture (limit 10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from es_ranking.actions.contract import Action, ActionStore
from segments.errors import ContractBroken

NOON = datetime(2017, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def action(n: int, *, user: str = "u1", item: str = "i1", kind: str = "view", ago: timedelta | None = None) -> Action:
    return Action(user, item, kind, NOON - (timedelta(minutes=n) if ago is None else ago), f"e{n}")


class ActionStoreContract:
    LIMIT = 10

    @pytest.fixture
    def store(self) -> ActionStore:
        raise AssertionError("a subclass brings the store")

    @pytest.mark.parametrize("user", ["\ud800", "利用者 😀", " "])
    def test_any_text_names_a_user(self, store: ActionStore, user: str) -> None:
        store.record([action(1, user=user)])
        assert store.counts(user, NOON, DAY) == {"i1": {"view": 1}}

    def test_counts_by_item_and_kind(self, store: ActionStore) -> None:
        store.record([action(1), action(2), action(3, kind="click"), action(4, item="i2"), action(5, user="u2")])
        assert store.counts("u1", NOON, DAY) == {"i1": {"view": 2, "click": 1}, "i2": {"view": 1}}
        assert store.counts("nobody", NOON, DAY) == {}

    def test_an_event_counts_once(self, store: ActionStore) -> None:
        store.record([action(1), action(1)])
        store.record([action(1), action(2)])
        later = Action("u1", "i1", "view", NOON - timedelta(days=3), "e1")
        store.record([later])
        assert store.counts("u1", NOON, DAY) == {"i1": {"view": 2}}, "and its first time stands"

    def test_as_of_and_window_are_half_open(self, store: ActionStore) -> None:
        store.record([action(1, ago=timedelta(0)), action(2, ago=DAY), action(3, ago=DAY + timedelta(milliseconds=1))])
        assert store.counts("u1", NOON, DAY) == {"i1": {"view": 1}}
        assert store.counts("u1", NOON + timedelta(milliseconds=1), DAY) == {"i1": {"view": 1}}
        assert store.counts("u1", NOON + timedelta(milliseconds=1), DAY * 2) == {"i1": {"view": 3}}

    def test_what_comes_later_changes_nothing_before(self, store: ActionStore) -> None:
        store.record([action(n) for n in range(1, 8)])
        before = store.counts("u1", NOON, DAY)
        store.record([Action("u1", "i9", "view", NOON + timedelta(seconds=n), f"late{n}") for n in range(self.LIMIT)])
        assert store.counts("u1", NOON, DAY) == before, "a page of impressions must not push out what page one knew"

    def test_bounded_by_the_most_recent(self, store: ActionStore) -> None:
        store.record([action(n, item=f"i{n}") for n in range(1, 101)])
        assert store.counts("u1", NOON, DAY) == {f"i{n}": {"view": 1} for n in range(1, self.LIMIT + 1)}
        assert store.forget("u1") == 2 * self.LIMIT

    def test_forgets_everything_about_one_user(self, store: ActionStore) -> None:
        store.record([action(1), action(2, user="u2")])
        assert store.forget("u1") == 1
        assert store.counts("u1", NOON, DAY) == {}
        assert store.counts("u2", NOON, DAY) == {"i1": {"view": 1}}
        assert store.forget("u1") == 0

    def test_no_actions_is_no_error(self, store: ActionStore) -> None:
        store.record([])
        assert store.counts("u1", NOON, DAY) == {}

    def test_any_text_in_any_name(self, store: ActionStore) -> None:
        odd = Action("ü 1:\n*", "item\x00é,✓", "säve", NOON - DAY / 2, "é/1")
        store.record([odd])
        assert store.counts(odd.user, NOON, DAY) == {odd.item: {odd.kind: 1}}

    def test_an_action_without_a_name_or_zone_is_refused(self, store: ActionStore) -> None:
        with pytest.raises(ContractBroken):
            Action("u1", "", "view", NOON, "e1")
        with pytest.raises(ContractBroken):
            Action("u1", "i1", "view", NOON.replace(tzinfo=None), "e1")
