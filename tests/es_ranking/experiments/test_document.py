"""The experiments' document: who is in what, and that a change moves nobody whom it need not."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_ranking.experiments.document import HOLD_OUT, Experiments
from es_ranking.experiments.edit import ended, forcing, holding_out, killed, slots_moved, with_ratios
from es_ranking.experiments.store import changes
from segments.errors import UsageError

USERS = [f"user-{n}" for n in range(2000)]
NONE = Experiments()
SPLITS = st.lists(st.integers(1, 20), min_size=2, max_size=4).map(
    lambda weights: {name: weight / sum(weights) for name, weight in zip("ABCD", weights, strict=False)}
)


def variants(document: Experiments, *, surface: str = "shelf") -> dict[str, tuple[str | None, str | None]]:
    got = {user: document.bucket(surface, user=user, request=None) for user in USERS}
    return {user: (one.experiment, one.variant) if one else (None, None) for user, one in got.items()}


def test_from_40_20_20_20_to_equal_moves_what_it_must() -> None:
    before = with_ratios(NONE, "x", {"A": 0.4, "B0": 0.2, "B1": 0.2, "B2": 0.2})
    after = with_ratios(before, "x", dict.fromkeys(("A", "B0", "B1", "B2"), 0.25))
    assert slots_moved(before, after) == 150
    assert after.experiments[0].epoch == 2
    was, now = variants(before), variants(after)
    moved = [user for user in USERS if was[user] != now[user]]
    assert abs(len(moved) / len(USERS) - 0.15) < 0.03
    assert changes(before, after) == [
        "x: A 0.4, B0 0.2, B1 0.2, B2 0.2 → A 0.25, B0 0.25, B1 0.25, B2 0.25 (150 slots move)"
    ]


@settings(max_examples=40)
@given(SPLITS, SPLITS, st.integers(1, 9), st.integers(1, 9))
def test_no_unit_moves_that_need_not(before: dict[str, float], after: dict[str, float], one: int, other: int) -> None:
    """Ratios, shares of a layer and the hold-out: each change moves the least, and leaves the others alone."""
    document = with_ratios(NONE, "x", before, layer="l", share=one / 20)
    document = with_ratios(document, "y", {"A": 0.5, "B": 0.5}, layer="l", share=0.5)
    changed = with_ratios(document, "x", after)
    want, have = Counter(changed.experiments[0].owners), Counter(document.experiments[0].owners)
    assert slots_moved(document, changed) == sum((want - have).values())
    grown = with_ratios(document, "x", before, share=other / 20)
    assert slots_moved(document, grown) == abs(one - other) * 50
    assert [slot for slot, owner in enumerate(grown.layers[0].owners) if owner == "y"] == [
        slot for slot, owner in enumerate(document.layers[0].owners) if owner == "y"
    ]
    assert slots_moved(document, holding_out(document, one / 100)) == one * 10
    assert (grown.named("y"), changed.named("y")) == (document.named("y"), document.named("y"))


def test_a_layer_shares_nobody_and_two_layers_cut_independently() -> None:
    document = with_ratios(NONE, "x", {"A": 0.5, "B": 0.5}, layer="l", share=0.4, surfaces=("shelf",))
    document = with_ratios(document, "y", {"A": 0.5, "C": 0.5}, layer="l", share=0.5)
    shares = Counter(experiment for experiment, _ in variants(document).values())
    assert {name: round(share / len(USERS), 1) for name, share in shares.items()} == {"x": 0.4, "y": 0.5, None: 0.1}
    inside = [variant for experiment, variant in variants(document).values() if experiment == "x"]
    assert abs(inside.count("B") / len(inside) - 0.5) < 0.07, "the layer's cut says nothing of the variant"
    elsewhere = Counter(experiment for experiment, _ in variants(document, surface="home").values())
    assert elsewhere["x"] == 0
    assert elsewhere["y"] == shares["y"]
    over = ended(document, "x")
    assert Counter(experiment for experiment, _ in variants(over).values())["y"] == shares["y"]
    none_left = ended(over, "y")
    assert (none_left.experiments, none_left.layers) == ((), ())


def test_what_changes_nothing_counts_nothing_anew() -> None:
    document = with_ratios(NONE, "x", {"A": 0.5, "B": 0.5}, layer="l", share=0.4, surfaces=("shelf",))
    document = with_ratios(document, "y", {"A": 0.5, "B": 0.5}, layer="m", share=0.4, surfaces=("home",))
    held = holding_out(document, 0.25)
    assert [one.epoch for one in held.experiments] == [2, 2]
    assert with_ratios(held, "x", {"A": 0.5, "B": 0.5}, share=0.4) == held
    assert holding_out(held, 0.25) == held
    named = holding_out(held, 0.25, variant="A")
    assert (named.hold_out.variant, named.experiments) == ("A", held.experiments), "nobody has moved"


def test_a_name_used_again_counts_its_epochs_on() -> None:
    """What was logged of the first one is never counted with the second."""
    first = with_ratios(with_ratios(NONE, "x", {"A": 0.5, "B": 0.5}), "x", {"A": 0.2, "B": 0.8})
    again = with_ratios(ended(first, "x"), "x", {"A": 0.5, "C": 0.5})
    assert [one.epoch for one in (*first.experiments, *again.experiments)] == [2, 3]


def test_the_order_of_forced_hold_out_and_kill() -> None:
    document = with_ratios(NONE, "x", {"A": 0.0, "B": 1.0})
    document = forcing(holding_out(document, 0.25, variant="M"), "x", {"boss": "C"})
    got = Counter(variants(document).values())
    assert set(got) == {(HOLD_OUT, "M"), ("x", "B")}
    assert abs(got[HOLD_OUT, "M"] / len(USERS) - 0.25) < 0.03
    boss = document.bucket("s", user="boss", request=None)
    assert boss is not None
    assert (boss.variant, boss.forced, boss.share) == ("C", True, 0.0)
    off = killed(document, "x")
    assert {variant for _, variant in variants(off).values()} == {"M", "A"}
    boss = off.bucket("s", user="boss", request=None)
    assert boss is None or boss.variant in {"A", "M"}, "a killed experiment is killed for testers too"
    assert all(off.named(one.name) and off.experiments[0].epoch == one.epoch + 1 for one in document.experiments)
    on = killed(off, "x", undo=True)
    assert variants(on) == variants(document)
    assert forcing(document, "x", {"boss": None}).experiments[0].forced == {}
    assert document.bucket("s", user=None, request="r") is None, "nobody in particular is in no experiment of users"


def test_requests_are_cut_by_their_ids() -> None:
    document = with_ratios(NONE, "x", {"A": 0.5, "B": 0.5}, unit="request")
    one = [document.bucket("s", user="ann", request=f"r{n}") for n in range(40)]
    assert {got.variant for got in one if got} == {"A", "B"}
    assert document.bucket("s", user=None, request="r1") == document.bucket("s", user="ann", request="r1")


@pytest.mark.parametrize(
    ("ratios", "options", "message"),
    [
        ({"A": 0.5, "B": 0.4}, {}, "sum to 0.9, not to 1"),
        ({"A": 1.5, "B": -0.5}, {}, "not to 1"),
        ({"A": float("nan")}, {}, "not to 1"),
        ({"A": 1.0}, {"control": "B"}, "unknown control 'B'"),
        ({"A": 1.0}, {"layer": "l"}, "which share of layer"),
        ({"A": 1.0}, {"layer": "l", "share": 0.0}, "has 1 left, not 0"),
        ({"A": 1.0}, {"share": 0.5}, "a share is of a layer"),
    ],
)
def test_what_is_wrong_is_refused(ratios: dict[str, float], options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_ratios(NONE, "new", ratios, **options)  # type: ignore[arg-type]


def test_what_does_not_fit_together_is_refused() -> None:
    document = with_ratios(NONE, "x", {"A": 1.0}, layer="l", share=0.7)
    for call, message in (
        (lambda: with_ratios(document, "y", {"A": 1.0}), "meet on a surface"),
        (lambda: with_ratios(document, "y", {"A": 1.0}, layer="l", share=0.4), "has 0.3 left"),
        (lambda: with_ratios(document, "y", {"A": 1.0}, layer="l", share=0.1, unit="request"), "different units"),
        (lambda: with_ratios(document, "x", {"A": 1.0}, unit="request"), "cannot change"),
        (lambda: with_ratios(NONE, HOLD_OUT, {"A": 1.0}), "cannot be called"),
        (lambda: killed(document, "z"), "unknown experiment 'z'"),
        (lambda: holding_out(document, 1.5), "not a share"),
    ):
        with pytest.raises(UsageError, match=message):
            call()
