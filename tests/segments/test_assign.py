"""A/B buckets: the same everywhere, close to the ratios, and nobody moves without need."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.assign import SLOTS, Experiment, allocate, assign, moved, slot_of
from segments.errors import UsageError

USERS = [f"user-{n}" for n in range(20_000)]
RATIOS = st.dictionaries(
    st.sampled_from(["A", "B0", "B", "B1", "B2"]), st.floats(0, 100, allow_subnormal=False), min_size=1
).filter(lambda ratios: sum(ratios.values()) > 1e-6)


ROOT = Path(__file__).resolve().parents[2]
# salt, unit, slot: computed once, by hand of Python's hashlib alone
VECTORS = [
    ("ranking", "u0", 225),
    ("ranking", "u1", 829),
    ("ranking", "2375", 620),
    ("banners", "2375", 129),
    ("ranking", "", 192),
    ("ranking", "3f1c2b7e-90ad-4f6e-8a57-1d2c3b4a5f60", 37),
    ("ranking", "user with spaces", 353),
    ("größe", "Zoë", 687),
    ("ranking", "利用者", 919),
    ("ranking", "😀", 496),
    ("hold-out", "2375", 440),
]


def test_published_slots_never_change() -> None:
    """These are a contract with every front end that computes them itself."""
    assert [slot_of(f"u{n}", salt="ranking") for n in range(6)] == [225, 829, 277, 693, 160, 847]
    told = {(salt, unit): slot_of(unit, salt=salt) for salt, unit, _ in VECTORS}
    assert told == {(salt, unit): slot for salt, unit, slot in VECTORS}
    page = (ROOT / "docs" / "ab-tests.md").read_text(encoding="utf-8")
    for salt, unit, slot in VECTORS:
        assert f"| `{salt}` | `{unit}` | {slot} |" in page, "docs/ab-tests.md shows them all"
    owners = allocate({"A": 1, "B": 1})
    assert "".join(owners[:12]) == "BBBAABBBABAA"
    digest = "0fa18b13756421150dc46b203629055880f4ff1922440349d36e451d367a537f"
    assert sha256("|".join(owners).encode()).hexdigest() == digest


def test_the_split_is_close_to_the_ratios() -> None:
    experiment = Experiment(name="x", salt="ranking", control="A", owners=allocate({"A": 0.9, "B": 0.1}))
    assert experiment.ratios() == {"A": 0.9, "B": 0.1}
    share = Counter(assign(user, experiment).variant for user in USERS)["B"] / len(USERS)
    # four standard errors of a share of 0.1 among 20,000
    assert abs(share - 0.1) < 4 * (0.1 * 0.9 / len(USERS)) ** 0.5


def test_two_salts_cut_independently() -> None:
    one, other = (np.array([slot_of(user, salt=salt) < 500 for user in USERS]) for salt in ("ranking", "banners"))
    both = float((one & other).mean())
    assert abs(both - float(one.mean() * other.mean())) < 0.015


def test_testers_are_forced_and_known_as_such() -> None:
    experiment = Experiment(name="x", salt="s", control="A", owners=("A",) * SLOTS, forced={"tester": "B"})
    assert assign("tester", experiment).variant == "B"
    assert assign("tester", experiment).forced
    assert not assign("u1", experiment).forced
    assert assign("r1", experiment, user="tester").forced, "whatever is put into slots"
    assert experiment.ratios() == {"A": 1.0}
    assert (assign("u1", experiment).share, assign("tester", experiment).share) == (1.0, 0.0)


def test_a_killed_experiment_serves_its_control_to_everybody() -> None:
    owners = allocate({"A": 0.2, "B": 0.8})
    experiment = Experiment(name="x", salt="s", control="A", owners=owners, forced={"u1": "B"}, killed=True)
    got = [assign(f"u{n}", experiment) for n in range(50)]
    assert {(one.variant, one.share, one.forced) for one in got} == {("A", 0.0, False)}


@settings(deadline=None)
@given(RATIOS)
def test_slots_follow_the_ratios_to_a_slot(ratios: dict[str, float]) -> None:
    owners = allocate(ratios)
    held = Counter(owners)
    assert len(owners) == SLOTS
    total = sum(ratios.values())
    for variant, weight in ratios.items():
        assert abs(held[variant] - weight / total * SLOTS) < 1
    assert set(held) <= set(ratios)


@settings(deadline=None)
@given(RATIOS, RATIOS)
def test_no_slot_moves_that_need_not(before: dict[str, float], after: dict[str, float]) -> None:
    old = allocate(before)
    new = allocate(after, previous=old)
    have, want = Counter(old), Counter(new)
    assert want == Counter(allocate(after)), "how slots were owned before does not change how many each gets"
    assert moved(old, new) == sum((want - have).values()), "the least that can give the new ratios"
    for variant, slots in want.items():
        kept = sum(one == other == variant for one, other in zip(old, new, strict=True))
        assert kept == min(have[variant], slots), "a variant that grows keeps all it had"


@pytest.mark.parametrize("wrong", [{}, {"A": 0.0}, {"A": -1.0, "B": 2.0}, {"A": float("nan")}, {"A": float("inf")}])
def test_what_are_no_ratios_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        allocate(wrong)


def test_owners_must_be_as_many_as_slots() -> None:
    with pytest.raises(UsageError):
        allocate({"A": 1}, previous=("A",))
    with pytest.raises(UsageError):
        Experiment.of({"name": "x", "salt": "s", "control": "A", "owners": ["A"]})
