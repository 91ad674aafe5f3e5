"""Planted people: who likes one half of the shop, and is known to, finds it first; others see no difference."""

from __future__ import annotations

import numpy as np
import pytest

from es_ranking.schema import VECTOR
from es_ranking.tastes.contract import Taste
from es_ranking.twiddlers.contract import Hit
from es_ranking.twiddlers.personal import PersonalSettings
from segments.errors import Refused
from segments.hashing import hash_strings
from spark_jobs.evaluation.visits import Visits
from spark_jobs.models.click_history import Clicks
from spark_jobs.outcome_arrays import Outcomes
from spark_jobs.personal_worth import Shown, worth

PEOPLE, ITEMS = 60, 80
VECTORS = np.where(np.arange(ITEMS) % 2 == 0, 1.0, -1.0)[:, None].astype(np.float32)
TEXTS = {f"i{n:02}": text for n, text in enumerate(["ADw=", "ALw="] * (ITEMS // 2))}  # 1 and −1 in 16 bit


def shop(seed: int = 1) -> Outcomes:
    """Each person's one visit to all items, four clicks on items of his own parity."""
    random = np.random.default_rng(seed)
    ids = np.array([f"i{n:02}" for n in range(ITEMS)])
    clicks = [
        (person, item)
        for person in range(PEOPLE)
        for item in random.choice(np.arange(person % 2, ITEMS, 2), 4, replace=False)
    ]
    return Outcomes(
        kind="product",
        items=ids,
        users=[f"u{n:02}" for n in range(PEOPLE)],
        visits=Visits.of(
            lists=np.zeros(ITEMS, dtype=np.int64),
            items=np.arange(ITEMS),
            item_hash=hash_strings(ids.tolist()),
            list_of=np.zeros(PEOPLE, dtype=np.int64),
            click_visit=np.array([visit for visit, _ in clicks]),
            click_item=np.array([item for _, item in clicks]),
        ),
        visit_user=np.arange(PEOPLE),
        item_class=np.zeros(ITEMS, dtype=np.int64),
        classes=["unknown"],
        candidates=ITEMS,
        product_rate=np.full(ITEMS, 0.1),
        segments_of={},
    )


def history(outcomes: Outcomes, clicks: list[int]) -> Clicks:
    """So many clicks of each person, on his own half."""
    user = np.repeat(np.arange(PEOPLE), clicks)
    return Clicks(user, user % 2, outcomes.users)


def taste(_: str, items: np.ndarray) -> Taste:
    return Taste(items.size, VECTORS[items].sum(axis=0))


def shown(outcomes: Outcomes, depth: int = 80) -> Shown:
    grid = np.linspace(0.9, 0.1, ITEMS)[None, :]
    return Shown.of(outcomes, grid, np.zeros(PEOPLE, dtype=np.int64), TEXTS, depth=depth)


def test_known_people_are_served_better_and_the_threshold_is_where_that_begins() -> None:
    outcomes = shop()
    clicks = history(outcomes, [150] * PEOPLE)
    report = worth(shown(outcomes), outcomes, clicks, taste, PersonalSettings(depth=80, strength=5.0, weight=5.0))
    by_clicks = {amount["clicks"]: amount for amount in report["amounts"]}
    assert by_clicks["0"]["gauc"]["difference"] == 0.0
    assert by_clicks["100+"]["gauc"]["segment"] < 0.55
    assert by_clicks["100+"]["gauc"]["personal"] > 0.7
    assert by_clicks["100+"]["mean_clicks"] == 150.0
    for name, low, high in (("1-4", 1, 4), ("5-19", 5, 19), ("20-99", 20, 99)):
        assert low < by_clicks[name]["mean_clicks"] < high, "histories are cut, and not all to the same"
        assert by_clicks[name]["people"] == PEOPLE
    gains = [amount["ndcg@20"]["difference"] for amount in report["amounts"]]
    assert gains == sorted(gains)
    assert report["threshold"] == next(a["least"] for a in report["amounts"] if a["ndcg@20"]["low"] > 0.0)


def test_only_those_with_enough_clicks_are_judged() -> None:
    outcomes = shop()
    report = worth(shown(outcomes), outcomes, history(outcomes, [n % 12 for n in range(PEOPLE)]), taste,
                   PersonalSettings(strength=5.0, weight=5.0))  # fmt: skip
    people = {amount["clicks"]: amount["people"] for amount in report["amounts"]}
    assert people == {"0": PEOPLE, "1-4": 55, "5-19": 35, "20-99": 0, "100+": 0}
    assert report["amounts"][3]["ndcg@20"]["low"] is None, "nobody to judge by is no figure"
    assert report["threshold"] in {1, 5}


def test_tastes_that_mislead_have_no_threshold() -> None:
    outcomes = shop()

    def wrong(user: str, items: np.ndarray) -> Taste:
        return taste(user, 1 - items)

    report = worth(shown(outcomes), outcomes, history(outcomes, [150] * PEOPLE), wrong, PersonalSettings(weight=5.0))
    assert report["threshold"] is None
    assert report["amounts"][-1]["gauc"]["difference"] < -0.1


def test_lists_stand_as_the_engine_sorts_them() -> None:
    outcomes = shop()
    grid = np.full((1, ITEMS), 0.5)
    grid[0, 7], grid[0, 3] = -np.inf, 0.9
    found = Shown.of(outcomes, grid, np.zeros(PEOPLE, dtype=np.int64), {"i03": TEXTS["i03"]}, depth=ITEMS)
    first, second, *_, last = found.top[0]
    assert first == Hit("i03", 0.9, {VECTOR: ("ALw=",)})
    assert (second.item_id, last.item_id, last.score) == ("i00", "i07", None)


def test_nobody_to_judge_by() -> None:
    outcomes = shop()
    with pytest.raises(Refused, match="nothing to judge"):
        worth(Shown({}, np.zeros(0, dtype=np.int64)), outcomes, history(outcomes, [1] * PEOPLE), taste,
              PersonalSettings())  # fmt: skip
