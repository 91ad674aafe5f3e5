"""Every visit metric against a version written from its formula, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from segments.errors import ContractBroken
from spark_jobs.evaluation.auc import auc
from spark_jobs.evaluation.pooled import pooled_auc
from spark_jobs.evaluation.ranking import gauc_sums, visit_sums
from spark_jobs.evaluation.visits import Visits, judge_clicks, top_items


class World:
    """A small random world: lists, visits, clicks, coarse scores (many ties), classes."""

    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        self.items = int(r.integers(3, 30))
        self.hash = r.permutation(self.items).astype(np.uint64)
        lists = int(r.integers(1, 5))
        self.members = [
            np.sort(r.choice(self.items, int(r.integers(1, self.items + 1)), replace=False)) for _ in range(lists)
        ]
        count = int(r.integers(1, 12))
        self.list_of = r.integers(0, lists, count)
        self.segment_of = r.integers(0, 3, count)
        self.user_of = r.integers(0, 4, count)
        self.grid = r.integers(0, 5, (3, self.items)).astype(float)
        self.grid[r.random(self.grid.shape) < 0.1] = -np.inf
        self.kind = r.integers(0, 3, self.items)
        self.clicked = [
            set(r.choice(self.members[list_], int(r.integers(0, min(4, self.members[list_].size) + 1)), replace=False))
            for list_ in self.list_of
        ]
        self.visits = Visits.of(
            lists=np.repeat(np.arange(lists), [m.size for m in self.members]),
            items=np.concatenate(self.members),
            item_hash=self.hash,
            list_of=self.list_of,
            click_visit=np.repeat(np.arange(count), [len(c) for c in self.clicked]).astype(np.int64),
            click_item=np.array([i for c in self.clicked for i in sorted(c)], dtype=np.int64),
        )

    def each(self):  # type: ignore[no-untyped-def]
        """(visit, list sorted best first, clicked) of each visit with clicks."""
        for v, list_ in enumerate(self.list_of):
            if self.clicked[v]:
                row = self.grid[self.segment_of[v]]
                yield v, sorted(self.members[list_], key=lambda i: (-row[i], self.hash[i])), self.clicked[v]


worlds = st.integers(0, 10**6).map(World)


@settings(max_examples=150, deadline=None)
@given(world=worlds, k=st.sampled_from([1, 3, 20]))
def test_hit_ratio_recall_ndcg_and_mrr_follow_their_formulas(world: World, k: int) -> None:
    hits, recalls, gains, firsts = [], [], [], []
    for _, ranked, clicked in world.each():
        top = ranked[:k]
        hits.append(float(bool(set(top) & clicked)))
        recalls.append(len(set(top) & clicked) / len(clicked))
        firsts.append(next((1 / p for p, item in enumerate(top, start=1) if item in clicked), 0.0))
        gain = sum(1 / np.log2(p + 2) for p, item in enumerate(top) if item in clicked)
        gains.append(gain / sum(1 / np.log2(p + 2) for p in range(min(k, len(clicked)))))
    placed = judge_clicks(world.visits, world.grid, world.segment_of, world.kind)
    sums = visit_sums(placed.place, world.visits.click_visit, world.user_of, k=k, users=4)
    for name, expected in (("hit_ratio", hits), ("recall", recalls), ("ndcg", gains), ("mrr", firsts)):
        value = sums[f"{name}@{k}"].value
        assert np.isnan(value) if not expected else value == pytest.approx(np.mean(expected))


@settings(max_examples=150, deadline=None)
@given(world=worlds)
def test_gauc_is_the_mean_of_sklearns_auc_weighted_by_clicks(world: World) -> None:
    """Overall and within each class of items."""
    placed = judge_clicks(world.visits, world.grid, world.segment_of, world.kind)
    user = world.user_of[world.visits.click_visit]
    for kind in (None, 0, 1, 2):
        total = weight = 0.0
        for v, ranked, clicked in world.each():
            rows = [i for i in ranked if kind is None or world.kind[i] == kind]
            label = np.array([i in clicked for i in rows])
            if 0 < label.sum() < label.size:
                score = np.where(
                    np.isinf(world.grid[world.segment_of[v], rows]), -1, world.grid[world.segment_of[v], rows]
                )
                total += label.sum() * roc_auc_score(label, score)
                weight += label.sum()
        clicked_items = [i for c in world.clicked for i in sorted(c, key=lambda i: world.hash[i])]
        of_kind = np.array([kind is None or world.kind[i] == kind for i in clicked_items], dtype=bool)
        beaten = placed.beaten if kind is None else np.where(of_kind, placed.class_beaten, np.nan)
        value = gauc_sums(beaten, user, 4).value
        assert np.isnan(value) if not weight else value == pytest.approx(total / weight)


@settings(max_examples=150, deadline=None)
@given(world=worlds, k=st.sampled_from([1, 3, 20]))
def test_pooled_auc_is_that_of_all_pairs_and_tops_are_the_first_k(world: World, k: int) -> None:
    label, score = [], []
    for v, list_ in enumerate(world.list_of):
        label += [float(i in world.clicked[v]) for i in world.members[list_]]
        score += list(world.grid[world.segment_of[v], world.members[list_]])
    pooled = pooled_auc(world.visits, world.grid, world.segment_of, visit_user=world.user_of, users=4, k=k)
    expected = auc(label, score)
    assert np.isnan(pooled.auc) if np.isnan(expected) else pooled.auc == pytest.approx(expected)
    assert pooled.influence.sum() == pytest.approx(0.0, abs=1e-9)
    for v, ranked, _ in world.each():
        assert list(pooled.shown[v][: len(ranked[:k])]) == ranked[:k]
        assert (pooled.shown[v][len(ranked) :] == -1).all()


def test_the_influence_of_a_user_is_what_its_weight_changes() -> None:
    """Against the AUC computed anew with one user's pairs weighted a little more."""
    world = World(12)
    pooled = pooled_auc(world.visits, world.grid, world.segment_of, visit_user=world.user_of, users=4, k=3)
    for user in range(4):
        label, score, weight = [], [], []
        for v, list_ in enumerate(world.list_of):
            rows = world.members[list_]
            label += [float(i in world.clicked[v]) for i in rows]
            score += list(world.grid[world.segment_of[v], rows])
            weight += [1.0 + 1e-6 * (world.user_of[v] == user)] * rows.size
        slope = (auc(label, score, weight) - pooled.auc) / 1e-6
        assert slope == pytest.approx(pooled.influence[user], abs=1e-4)


def test_clicks_outside_the_list_are_counted_and_left_out() -> None:
    zero, one = np.array([0, 0]), np.array([0, 1])
    visits = Visits.of(
        lists=zero, items=one, item_hash=np.arange(3, dtype=np.uint64), list_of=np.array([0]),
        click_visit=np.array([0, 0, 0]), click_item=np.array([1, 2, 1]),
    )  # fmt: skip
    assert visits.outside == 1
    assert visits.click_at.tolist() == [1]


def test_a_nan_score_is_refused() -> None:
    world = World(3)
    world.grid[0, 0] = np.nan
    with pytest.raises(ContractBroken, match="NaN"):
        judge_clicks(world.visits, world.grid, world.segment_of, world.kind)


def test_ties_at_the_cut_go_to_the_lower_hash() -> None:
    assert top_items(np.array([1.0, 2.0, 1.0, 1.0]), 2).tolist() == [1, 0]
