"""What every taste store keeps: enrol one by a subclass with a `store` fixture (limit 10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from es_ranking.tastes.contract import Click, Taste, TasteStore
from segments.errors import ContractBroken

NIGHT = datetime(2017, 11, 27, tzinfo=UTC)
NOON = NIGHT + timedelta(hours=12)
SPACE = "product-1"


def vector(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)


def click(n: int, *numbers: float, user: str = "u1", at: datetime | None = None) -> Click:
    return Click(user, at or NOON - timedelta(minutes=n), f"e{n}", vector(*(numbers or (1.0, 0.0))))


def load(store: TasteStore, *tastes: tuple[str, Taste]) -> int:
    return store.load(SPACE, NIGHT, tastes, segments={})


def told(taste: Taste | None) -> tuple[int, list[float]] | None:
    return None if taste is None else (taste.count, taste.total.tolist())


class TasteStoreContract:
    LIMIT = 10

    @pytest.fixture
    def store(self) -> TasteStore:
        raise AssertionError("a subclass brings the store")

    def test_the_night_and_the_clicks_since(self, store: TasteStore) -> None:
        assert load(store, ("u1", Taste(7, vector(3.5, -1.25))), ("u2", Taste(1, vector(0, 1)))) == 2
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (7, [3.5, -1.25])
        store.clicked(SPACE, [click(1, 0.5, 1.0), click(2, 0.25, 0.0), click(3, user="u3")])
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (9, [4.25, -0.25])
        assert told(store.taste(SPACE, "u2", NOON, segment="all")) == (1, [0.0, 1.0])
        assert told(store.taste(SPACE, "u3", NOON, segment="all")) == (1, [1.0, 0.0]), "nobody knew him at night"
        assert store.taste(SPACE, "nobody", NOON, segment="all") is None

    def test_a_click_counts_once(self, store: TasteStore) -> None:
        store.clicked(SPACE, [click(1), click(1)])
        store.clicked(SPACE, [click(1), click(2)])
        store.clicked(SPACE, [click(1, at=NOON + timedelta(hours=1))])
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (2, [2.0, 0.0]), "and its first time stands"

    def test_what_the_night_has_counted_is_not_counted_again(self, store: TasteStore) -> None:
        store.clicked(SPACE, [click(1, at=NIGHT - timedelta(milliseconds=1)), click(2, at=NIGHT)])
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (2, [2.0, 0.0])
        load(store, ("u1", Taste(5, vector(5.0, 0.0))))
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (6, [6.0, 0.0])

    def test_loading_again_replaces(self, store: TasteStore) -> None:
        for count in (3, 4):
            load(store, ("u1", Taste(count, vector(count, 0.0))))
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (4, [4.0, 0.0])

    def test_as_of_is_half_open_and_what_comes_later_changes_nothing_before(self, store: TasteStore) -> None:
        store.clicked(SPACE, [click(n) for n in range(8)])
        before = told(store.taste(SPACE, "u1", NOON, segment="all"))
        assert before == (7, [7.0, 0.0]), "the click at noon is not before noon"
        later = [click(100 + n, at=NOON + timedelta(seconds=n)) for n in range(self.LIMIT)]
        store.clicked(SPACE, later)
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == before, "pages of one list keep their taste"

    def test_bounded_by_the_most_recent(self, store: TasteStore) -> None:
        load(store, ("u1", Taste(1, vector(0.0, 1.0))))
        store.clicked(SPACE, [click(n, float(n), 0.0) for n in range(1, 101)])
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (1 + self.LIMIT, [55.0, 1.0])

    def test_a_taste_is_apart_from_the_segments(self, store: TasteStore) -> None:
        segments = {"d_a": Taste(10, vector(20.0, 5.0)), "d_b": Taste(4, vector(4.0))}
        store.load(SPACE, NIGHT, [("u1", Taste(3, vector(9.0, 1.0)))], segments=segments)
        assert told(store.taste(SPACE, "u1", NOON, segment="d_a")) == (3, [3.0, -0.5])
        store.clicked(SPACE, [click(1, 2.0, 0.5)])
        assert told(store.taste(SPACE, "u1", NOON, segment="d_a")) == (4, [3.0, -0.5])
        for other in ("d_b", "nobody's"):
            assert told(store.taste(SPACE, "u1", NOON, segment=other)) == (4, [11.0, 1.5]), "no middle of this width"

    def test_spaces_are_apart(self, store: TasteStore) -> None:
        load(store, ("u1", Taste(1, vector(1.0))))
        store.clicked("product-2", [click(1, 2.0)])
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (1, [1.0])
        assert told(store.taste("product-2", "u1", NOON, segment="all")) == (1, [2.0])

    def test_a_vector_of_another_width_is_left_out(self, store: TasteStore) -> None:
        load(store, ("u1", Taste(1, vector(1.0, 1.0))))
        store.clicked(SPACE, [click(1, 1.0, 0.0, 0.0), click(2, 0.5, 0.5)])
        assert told(store.taste(SPACE, "u1", NOON, segment="all")) == (2, [1.5, 1.5])

    def test_forgets_everything_about_one_user(self, store: TasteStore) -> None:
        load(store, ("u1", Taste(1, vector(1.0))), ("u2", Taste(1, vector(1.0))))
        store.clicked(SPACE, [click(1, 1.0)])
        assert store.forget(SPACE, "u1")
        assert store.taste(SPACE, "u1", NOON, segment="all") is None
        assert store.taste(SPACE, "u2", NOON, segment="all") is not None
        assert not store.forget(SPACE, "u1")

    def test_nothing_is_no_error_and_any_text_is_a_name(self, store: TasteStore) -> None:
        store.clicked(SPACE, [])
        assert load(store) == 0
        odd = Click("ü 1:\n*", NOON - timedelta(minutes=1), "é/✓\x00", vector(0.5))
        store.clicked(SPACE, [odd])
        assert told(store.taste(SPACE, odd.user, NOON, segment="all")) == (1, [0.5])

    def test_a_click_without_name_zone_or_vector_is_refused(self, store: TasteStore) -> None:
        for wrong in (
            ("", NOON, "e1", vector(1.0)),
            ("u1", NOON.replace(tzinfo=None), "e1", vector(1.0)),
            ("u1", NOON, "", vector(1.0)),
            ("u1", NOON, "e1", vector()),
            ("u1", NOON, "e1", vector(float("nan"))),
        ):
            with pytest.raises(ContractBroken):
                Click(*wrong)
