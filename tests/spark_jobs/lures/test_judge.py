"""The whole judge on shops with known lures: nearly as good as anybody could be, calibrated, and it gives reasons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spark_jobs.evaluation.calibration import mean_ratio
from spark_jobs.lures.classifier import rule_weights
from spark_jobs.lures.context import WORDS, Traits, features
from spark_jobs.lures.judge import Judge, judge
from spark_jobs.lures.label_model import UNKNOWN
from spark_jobs.lures.marks import MARKS, title_marks
from spark_jobs.lures.settings import LureSettings
from tests.spark_jobs.lures.world import LureWorld, found

RULE = LureSettings()


@pytest.fixture(scope="module")
def world() -> LureWorld:
    return LureWorld(1, items=3000, share=0.05)


@pytest.fixture(scope="module")
def judged(world: LureWorld) -> Judge:
    told = judge(world.items(), RULE)
    assert told is not None
    return told


def test_nearly_as_good_as_who_knows_the_truth() -> None:
    """Precision and recall against Bayes' rule with the truth, over several shops; the benchmark has more of them."""
    ours = dict.fromkeys(("called", "lures", "both"), 0)
    best = dict(ours)
    for seed in range(4):
        world = LureWorld(seed, items=2000, share=0.03)
        told = judge(world.items(), RULE)
        assert told is not None
        for sums, probability in ((ours, told.verdict().probability), (best, world.optimal)):
            for name, count in found(probability, world.lure, 0.5).items():
                sums[name] += count
    assert ours["both"] / ours["called"] >= 0.9 * best["both"] / best["called"]
    assert ours["both"] / ours["lures"] >= 0.9 * best["both"] / best["lures"]


def test_probabilities_mean_what_they_say(world: LureWorld, judged: Judge) -> None:
    assert 0.8 < mean_ratio(world.lure, judged.verdict().probability) < 1.25


def test_reasons_are_words_with_the_items_own_figures(world: LureWorld, judged: Judge) -> None:
    verdict = judged.verdict()
    worst = int(judged.log_odds.argmax())
    rate = world.counts["followed"][worst] / world.counts["judged"][worst]
    assert f"only {rate:.1%} of its clicks are followed by interest" in verdict.reason[worst]
    assert len(verdict.reason[worst].split("; ")) <= 3
    assert verdict.reason[int(judged.log_odds.argmin())] == ""
    marked = [i for i, title in enumerate(world.titles) if "gift" in title and verdict.probability[i] >= 0.9]
    assert any("its title is marked: giveaway" in verdict.reason[i] for i in marked)


def test_each_rule_says_how_far_the_others_agree(judged: Judge) -> None:
    told = {row["rule"]: row for row in judged.told()}
    assert set(told) == {"followed", "clicked", "outside", "full_price", "title: giveaway"}
    assert told["followed"]["agreement"] > 0.7
    assert told["followed"]["accuses"] > 0


def test_trees_learn_where_lures_are_to_be_expected(world: LureWorld, judged: Judge) -> None:
    assert judged.expected.trees > 0
    assert np.corrcoef(judged.expected.log_odds, np.log(world.price))[0, 1] < -0.3
    assert np.abs(judged.expected.log_odds).max() <= 2.0
    assert np.abs(judged.expected.parts[:, list(WORDS).index("price")]).mean() > 0.05


def test_nothing_to_learn_from_grows_no_trees() -> None:
    told = judge(LureWorld(3, items=300, share=0.0).items(), RULE)
    assert told is not None
    assert (told.expected.trees, told.expected.log_odds.any()) == (0, False)


def test_operators_who_do_not_mind_a_rule_are_followed(world: LureWorld, judged: Judge) -> None:
    """They allow whatever only outsiders speak against: that rule counts for less, and for less than any other."""
    names = [rule.name for rule in judged.model.rules]
    outside = names.index("outside")
    others = judged.log_odds - judged.votes[outside]
    labels = np.where((judged.votes[outside] > 1.0) & (others < 0), 0, UNKNOWN)
    sure = np.flatnonzero(judged.log_odds > 4)[:20]
    labels[sure] = 1
    assert (labels == 0).sum() >= 20
    before = np.zeros(len(labels)) + np.log(0.05)
    weights, _ = rule_weights(judged.votes, before, labels)
    assert weights[outside] == weights.min()
    assert weights[outside] < 0.9
    nobody = np.full(len(labels), UNKNOWN)
    assert rule_weights(judged.votes, before, nobody)[0].tolist() == [1.0] * len(names)


def test_one_decision_against_all_signs_silences_no_rule(world: LureWorld, judged: Judge) -> None:
    labels = np.full(len(world.lure), UNKNOWN)
    labels[int(judged.log_odds.argmax())] = 0
    told = judge(world.items(labels), RULE)
    assert told is not None
    assert (told.weights > 0.8).all()
    lures = judged.log_odds > 4
    assert (told.verdict().probability[lures] > 0.8).mean() > 0.9


def test_a_segment_judges_by_its_own_clicks_as_far_as_it_has_any(world: LureWorld, judged: Judge) -> None:
    """What nobody of a segment cares for is a lure there; two clicks of it change little."""
    fine = np.flatnonzero((judged.verdict().probability < 0.01) & (world.counts["judged"] > 100))[:2]
    counts = {"judged": np.array([200.0, 2.0]), "followed": np.array([2.0, 0.0])}
    verdict = judged.in_segment(fine, counts, strength=50)
    assert verdict.probability[0] > 0.9
    assert "only 1.0% of its clicks" in verdict.reason[0]
    assert verdict.probability[1] < 0.1
    everybody = judged.in_segment(fine, {}, strength=50)
    np.testing.assert_allclose(everybody.probability, judged.verdict().probability[fine])


def test_off_and_nothing_to_judge() -> None:
    empty = LureWorld(1, items=0, share=0.0).items()
    assert judge(empty, RULE) is None
    assert judge(LureWorld(1, items=10).items(), LureSettings(follow="off")) is None


def test_one_item_and_no_clicks_are_judged_too() -> None:
    one = judge(LureWorld(1, items=1).items(), RULE)
    assert one is not None
    assert np.isfinite(one.verdict().probability).all()
    world = LureWorld(2, items=100)
    quiet = judge(replace(world.items(), counts={name: np.zeros(100) for name in world.counts}), RULE)
    assert quiet is not None
    assert (quiet.verdict().probability < 0.05).all()


def test_marks_are_found_and_a_recipe_has_its_own() -> None:
    titles = ["FREE bag with purchase", "Freedom fries", None, "RED HOT SHOES NOW", "Sale!!", "limited edition"]
    marks = title_marks(titles, {"event": r"\blimited\b", "shouting": "", "fries": "fries"})
    assert marks["giveaway"].tolist() == [1, 0, 0, 0, 0, 0]
    assert marks["event"].tolist() == [0, 0, 0, 0, 0, 1]
    assert marks["fries"].tolist() == [0, 1, 0, 0, 0, 0]
    assert "shouting" not in marks
    assert title_marks(titles)["shouting"].tolist() == [0, 0, 0, 1, 1, 0]
    assert set(MARKS) == {"giveaway", "event", "suggestive", "shouting"}


def test_what_an_item_is_beside_its_list() -> None:
    """Prices by the list's median; vectors by the list's mean; an item's own suspicion is in none of its shares."""
    nan = np.nan
    lists = np.repeat([0, 1], 5)
    price = np.array([1.0, 2.0, 4.0, nan, 0.0, nan, nan, nan, nan, nan])
    vectors = np.tile([[1.0, 0.0]], (10, 1)).astype(np.float32)
    vectors[0], vectors[1] = (0.0, 1.0), np.nan
    brands = np.array([0, 0, 1, -1, 1, 1, 1, 1, 1, 1])
    told = features(Traits(lists, brands, price, np.arange(10.0), vectors), np.eye(10)[0])
    column: dict[str, Any] = dict(zip(WORDS, told.T, strict=True))
    np.testing.assert_allclose(column["price"], [0.5, 1.0, 2.0, nan, nan, nan, nan, nan, nan, nan])
    assert column["unlike"][0] > 0.5 > column["unlike"][2]
    assert np.isnan(column["unlike"][1])
    assert column["brand"][0] < column["brand"][1], "the other of its brand is suspicious, it alone is not told so"
    assert np.isnan(column["brand"][3])
