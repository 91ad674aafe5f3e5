"""A cascade of two grids: a cheap model for every item, the deep one for the top of each segment's lists.

Wang, Lin, Metzler, "A Cascade Ranking Model for Efficient Ranked Retrieval", SIGIR 2011, with two stages: the cheap
model's N-th largest probability of a list is its *bar*. Pairs that reach it are scored by the deep model, the others
keep the cheap model's place below them:

    p = max(d, bar + (1 − bar) · d / 1000) where cheap ≥ bar,   p = cheap elsewhere

The first is rising in d and lies above the bar: those that go on stand in the deep model's order, above all that do
not, and only what the deep model puts below the bar is moved, to just above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_jobs.models.grid import Grid
from spark_jobs.models.ranker import Part

Doubles = NDArray[np.float64]
Bars = Mapping[str, Doubles]  # list → its bar in each segment, (k,)
LEAST = 1e-3  # what the deep order is worth among pairs that it puts below their bar


class Cascade:
    """Scores items × segments by two grids.

    Args:
        cheap: of every pair.
        deep: of the pairs that reach their list's bar.
        lists: the column that says which list an item stands in; None: all stand in one.
        bars: from `tops` of all items by `bar_of`; without them there is nothing to `score` by.
    """

    def __init__(self, cheap: Grid, deep: Grid, *, lists: str | None = None, bars: Bars = MappingProxyType({})) -> None:
        self.cheap, self.deep, self.lists, self.bars = cheap, deep, lists, bars
        self.chosen = 0  # pairs that the deep model has scored so far

    def segments(self, segments: Sequence[Mapping[str, str]]) -> tuple[Part, Part]:
        """Both models' segment sides, to be computed once."""
        return self.cheap.segments(segments), self.deep.segments(segments)

    def tops(self, items: pa.Table, viewers: tuple[Part, Part], top: int) -> Iterator[tuple[str, Doubles]]:
        """Of each list among the items, its name and its largest cheap probabilities, (at most top + 1, k).

        One more than go on: whether a list has more than `top` items must be seen.
        """
        chance = self.cheap.score(items, viewers[0])
        names, of = self._lists(items)
        for place, name in enumerate(names):
            yield name, largest(chance[of == place], top + 1)

    def score(self, items: pa.Table, viewers: tuple[Part, Part]) -> Doubles:
        """Probabilities (n items, k segments)."""
        found = self.cheap.score(items, viewers[0])
        names, of = self._lists(items)
        bar = np.array([self.bars[name] for name in names]).reshape(len(names), found.shape[1])[of]
        chosen = found >= bar
        self.chosen += int(chosen.sum())
        deep = self.deep.checkpoint.calibration(self.deep.some(items, viewers[1], chosen))
        found[chosen] = np.maximum(deep, bar[chosen] + LEAST * (1.0 - bar[chosen]) * deep)
        return found

    def _lists(self, items: pa.Table) -> tuple[list[str], NDArray[np.int64]]:
        """(names of the lists among the items, which one each stands in)."""
        if self.lists is None:
            return [""], np.zeros(items.num_rows, dtype=np.int64)
        column = pc.fill_null(items.column(self.lists).cast(pa.string()), "")
        encoded = column.combine_chunks().dictionary_encode()
        return encoded.dictionary.to_pylist(), np.asarray(encoded.indices, dtype=np.int64)


def largest(chance: Doubles, top: int) -> Doubles:
    """The `top` largest of each column, in no order; all where there are no more."""
    return chance if len(chance) <= top else np.partition(chance, len(chance) - top, axis=0)[len(chance) - top :]


def bar_of(tops: Iterable[Doubles], top: int) -> Doubles:
    """A list's bar (k,) from the tops of its parts: 0, which all reach, where it has no more than `top` items."""
    whole = np.concatenate(list(tops))
    return np.zeros(whole.shape[1]) if len(whole) <= top else largest(whole, top).min(0)
