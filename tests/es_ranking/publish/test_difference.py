"""Two nights whose difference is known by hand; the overlap against its definition, summed term by term."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_ranking.engine.contract import Engine
from es_ranking.publish.begin import begin
from es_ranking.publish.difference import SegmentDifference, chosen, differences, rank_biased_overlap
from es_ranking.publish.locally import publish
from segments.errors import Refused, UsageError
from tests.es_ranking.publish.shop import ITEMS, NIGHT, SETTINGS, Publisher, documents, plan_for

NEXT_NIGHT = "20171128T000000"
LISTS = st.lists(st.sampled_from([f"i{n}" for n in range(12)]), unique=True, max_size=12)


def summed(left: list[str], right: list[str], p: float) -> float:
    """(1−p) Σ p^(d−1) A_d, far down; where a list has ended its agreement so far is taken to go on."""
    short, long = sorted((left, right), key=len)
    if not short:
        return 1.0 if not long else 0.0
    s, whole = len(short), len(long)
    shared = len({*short} & {*long[:s]})
    total = 0.0
    for d in range(1, 3000):
        deep = min(d, whole)
        agreed = len({*short[:deep]} & {*long[:deep]}) + shared * max(0, deep - s) / s
        total += (1 - p) * p ** (d - 1) * agreed / deep
    return total


@given(LISTS, LISTS, st.floats(0.05, 0.98))
def test_the_overlap_is_its_definition_summed(left: list[str], right: list[str], p: float) -> None:
    found = rank_biased_overlap(left, right, persistence=p)
    assert found == pytest.approx(summed(left, right, p), abs=1e-9)
    assert found == pytest.approx(rank_biased_overlap(right, left, persistence=p), abs=1e-12)
    assert -1e-9 <= found <= 1 + 1e-9
    assert rank_biased_overlap(left, left, persistence=p) == pytest.approx(1.0)


def test_overlaps_known_by_hand() -> None:
    assert rank_biased_overlap(["a", "b"], ["c", "d"]) == 0.0
    # 1/2 · (0/1 + 1/2 · 2/2) + 1/4 · 2/2
    assert rank_biased_overlap(["a", "b"], ["b", "a"], persistence=0.5) == pytest.approx(0.5)
    first, last = ["x", *"bcdefghij"], [*"abcdefghi", "x"]
    assert rank_biased_overlap([*"abcdefghij"], first) < rank_biased_overlap([*"abcdefghij"], last), "the top counts"


def compared(engine: Engine, alias: str, *segments: str, top: int = 3) -> list[SegmentDifference]:
    old, new = chosen(engine, alias, None, None)
    return differences(engine, old, new, variant="B", segments=segments, top=top)


def test_a_turn_of_the_shop(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT)
    published(NEXT_NIGHT, turn=2)
    everyone, young, old = compared(engine, index_name)
    assert [one.segment for one in (everyone, young, old)] == ["all", "d_young", "d_old"]
    # i000 i001 i002 … becomes i038 i039 i000 …: two rise from the end, three fall by two
    assert [(move.item, move.before, move.after) for move in everyone.risers] == [("i038", 39, 1), ("i039", 40, 2)]
    assert [(move.item, move.before, move.after) for move in everyone.fallers] == [
        ("i000", 1, 3), ("i001", 2, 4), ("i002", 3, 5)
    ]  # fmt: skip
    assert everyone.risers[0].title == "Item 38"
    assert everyone.stay == pytest.approx(1 / 3)
    assert everyone.rbo == pytest.approx(rank_biased_overlap(["i000", "i001", "i002"], ["i038", "i039", "i000"]))
    assert (everyone.new, everyone.gone) == ((), ())
    assert young.rbo == everyone.rbo
    # d_old runs from the end: i039 i038 i037 becomes i037 i036 i035
    assert [move.item for move in old.risers] == ["i035", "i036", "i037"]


def test_what_came_and_what_went(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT)
    plan = plan_for(engine, index_name, NEXT_NIGHT, documents=ITEMS)
    changed = [(key, {**value, "item_id": "newcomer"} if key == "i001" else {**value, "available": key != "i000"})
               for key, value in documents()]  # fmt: skip
    publish(engine, plan, documents=[("newcomer" if key == "i001" else key, value) for key, value in changed],
            users=[("u1", {"segments": {}}), ("u2", {"segments": {}})], settings=SETTINGS)  # fmt: skip
    (found,) = compared(engine, index_name, "all")
    assert [(move.item, move.before, move.after) for move in found.new] == [("newcomer", None, 1)]
    assert [(move.item, move.before, move.after) for move in found.gone] == [("i000", 1, None), ("i001", 2, None)]
    assert found.stay == 1.0, "what is left of the old top is in the new one"
    assert [(move.item, move.before, move.after) for move in found.risers] == [("i002", 3, 2), ("i003", 4, 3)]


def test_nothing_changed(engine: Engine, index_name: str, published: Publisher) -> None:
    published(NIGHT)
    published(NEXT_NIGHT)
    for one in compared(engine, index_name, top=20):
        assert (one.rbo, one.stay) == (pytest.approx(1.0), 1.0)
        assert not [*one.risers, *one.fallers, *one.new, *one.gone]


def test_which_generations(engine: Engine, index_name: str, published: Publisher) -> None:
    with pytest.raises(Refused, match="nothing is published"):
        chosen(engine, index_name, None, None)
    first = published(NIGHT).generation
    with pytest.raises(Refused, match="there is no generation before"):
        chosen(engine, index_name, None, None)
    second = published(NEXT_NIGHT).generation
    half = begin(engine, plan_for(engine, index_name, NEXT_NIGHT)).main.removesuffix("-writing")
    assert [one.generation.id for one in chosen(engine, index_name, None, None)] == [first, second]
    assert [one.generation.id for one in chosen(engine, index_name, second, first)] == [second, first]
    with pytest.raises(UsageError, match="unknown generation"):
        chosen(engine, index_name, half, None)
    old, new = chosen(engine, index_name, None, None)
    with pytest.raises(UsageError, match="unknown variant"):
        differences(engine, old, new, variant="C")
    with pytest.raises(UsageError, match="unknown segment"):
        differences(engine, old, new, variant="A", segments=["d_old"])
