"""What every twiddler keeps: enrol one by a subclass with `twiddler(hits, seed)`.

Whatever window it is given, what it settles is the beginning of what it settles from the whole list; nothing is lost,
nothing comes twice; the same hits give the same order; and `reach` is enough where nothing is demoted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from es_ranking.schema import VECTOR
from es_ranking.tastes.vectors import pack, to_text
from es_ranking.twiddlers.contract import STAGES, Hit, Twiddler
from es_ranking.twiddlers.planner import Planner


def random_hits(seed: int, n: int) -> list[Hit]:
    """Hits in base order: ties, missing ranks, missing and double attributes, some without a vector."""
    rng = random.Random(seed)
    hits = [
        Hit(
            f"i{i:03}",
            rng.choice([None, rng.random(), 0.5]),
            {
                "brand": tuple(rng.sample("abcdef", rng.choice([0, 1, 1, 1, 2]))),
                "list": tuple(rng.sample("xyz", rng.choice([0, 1]))),
                VECTOR: tuple(to_text(pack(np.array([rng.gauss(0, 1)] * 2))) for _ in range(rng.choice([0, 1, 1]))),
            },
        )
        for i in range(n)
    ]
    return sorted(hits, key=lambda hit: (hit.score is None, -(hit.score or 0.0), hit.item_id))


class TwiddlerContract:
    SIZES = (0, 1, 2, 7, 60)

    def twiddler(self, hits: Sequence[Hit], seed: int) -> Twiddler:
        raise AssertionError("a subclass brings the twiddler")

    def order(self, twiddler: Twiddler, hits: Sequence[Hit], wanted: int, *, ended: bool) -> list[str]:
        return [entry.hit.item_id for entry in Planner([twiddler]).plan(hits, wanted, ended=ended).order]

    @pytest.mark.parametrize("seed", range(8))
    def test_any_window_settles_a_prefix_of_the_whole(self, seed: int) -> None:
        for n in self.SIZES:
            hits = random_hits(seed, n)
            whole = self.order(self.twiddler(hits, seed), hits, n, ended=True)
            for window in range(n + 1):
                part = self.order(self.twiddler(hits, seed), hits[:window], n, ended=False)
                assert part == whole[: len(part)]

    @pytest.mark.parametrize("seed", range(8))
    def test_nothing_is_lost_and_nothing_comes_twice(self, seed: int) -> None:
        for n in self.SIZES:
            hits = random_hits(seed, n)
            whole = self.order(self.twiddler(hits, seed), hits, n, ended=True)
            assert sorted(whole) == sorted(hit.item_id for hit in hits)
            assert whole == self.order(self.twiddler(hits, seed), hits, n, ended=True)

    @pytest.mark.parametrize("seed", range(8))
    def test_pieces_of_any_length_give_the_same_places(self, seed: int) -> None:
        rng = random.Random(seed)
        for n in self.SIZES:
            hits = random_hits(seed, n)
            whole = Planner([self.twiddler(hits, seed)]).plan(hits, n, ended=True)
            planning, fed, shown = Planner([self.twiddler(hits, seed)]).begin(), 0, 0
            while shown < n:
                wanted = shown + rng.randint(1, 9)
                piece = hits[fed : fed + rng.randint(0, 12)]
                fed += len(piece)
                planning.feed(piece, wanted, ended=fed == n)
                plan = planning.plan(shown, wanted)
                if fed == n:
                    assert plan.needs == 0
                right = whole.order[shown : shown + len(plan.order)]
                assert [entry.hit.item_id for entry in plan.order] == [entry.hit.item_id for entry in right]
                # of a pin it may not be known yet where it would stand
                for mine, theirs in zip(plan.order, right, strict=True):
                    assert mine.places.items() <= theirs.places.items()
                    assert mine.reasons.items() <= theirs.reasons.items()
                    assert list(mine.places.values())[-1] == list(theirs.places.values())[-1]
                shown += len(plan.order)
            assert planning.plan(shown, n).relaxed == whole.relaxed

    @pytest.mark.parametrize("seed", range(8))
    def test_a_plan_that_needs_more_is_complete_once_it_has_all(self, seed: int) -> None:
        hits = random_hits(seed, 60)
        planner = Planner([self.twiddler(hits, seed)])
        size = planner.window(10)
        while (plan := planner.plan(hits[:size], 10, ended=size >= 60)).needs:
            assert plan.needs > size
            size = plan.needs
        assert len(plan.order) == 10

    def test_its_stage_is_one_of_the_fixed_order(self) -> None:
        assert self.twiddler(random_hits(1, 7), 1).stage in STAGES
