"""What lighter scoring costs and saves: a run's model over all its items and segments, whole, as bytes, as a cascade.

Every way is timed over the same grid and judged twice: by the visits after the clock, as step `evaluate` does, and by
how well the head of its lists agrees with the whole model's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segments.errors import UsageError
from spark_jobs.arena import Arena, placed
from spark_jobs.evaluation.judge import Contestant
from spark_jobs.judging import Judging, rows_by_visit
from spark_jobs.models.cascade import Cascade, bar_of
from spark_jobs.models.checkpoint import Checkpoint, load
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import read_examples
from spark_jobs.models.grid import Grid
from spark_jobs.models.int8_rows import as_bytes, has_embeddings
from spark_jobs.models.item_table import read_items, read_vectors
from spark_jobs.models.scoring_settings import CHEAP, CascadeSettings

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from spark_jobs.night import Night

BLOCK = 4096
HEADS = (20, 100)  # places compared


@dataclass
class Way:
    """One way to score.

    Attributes:
        scores: probabilities (n items, k segments).
        seconds: the whole grid took.
        share: of the pairs that the deep model scored.
    """

    scores: NDArray[np.float64]
    seconds: float
    share: float = 1.0


def measure(
    night: Night, shelf: str, cascade: CascadeSettings, *, tops: Sequence[int],
    on_stage: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """What `compare` says of a run's own model and a cheap one.

    Args:
        night: the run; its model of step `train` must be there, and the tables that `evaluate` reads.
        shelf: kind of item.
        cascade: the cheap model and its lists. The run's own is taken if it has that one, else it is trained.
        tops: how many items of each list go on.
        on_stage: told what begins.

    Raises:
        Refused: the run has no model, or lacks a table.
        UsageError: a shelf or a field that the recipe does not have.
    """
    if shelf not in night.recipe.shelves:
        raise UsageError.unknown("shelf", shelf, night.recipe.shelves)
    recipe = night.recipe.shelves[shelf]
    if cascade.lists is not None and recipe.fields[cascade.lists].role != "item":
        raise UsageError(f"lists are of items, and {cascade.lists} is not a field of theirs")
    on_stage("reading the visits after the clock")
    whole = load(night.folder("models") / shelf, schema=recipe.fields)
    arena = Arena.of(night, shelf, schemas=[recipe.fields])
    cheap = _cheap(night, shelf, arena, cascade, on_stage)
    return compare(arena, whole, cheap, lists=cascade.lists, tops=tops, on_stage=on_stage)


def compare(
    arena: Arena, whole: Checkpoint, cheap: Checkpoint, *, lists: str | None, tops: Sequence[int],
    on_stage: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row a way: `whole`, `int8`, `cascade N` for each N, and `cheap`, the first model alone.

    Returns:
        `way`, `gauc`, `ndcg@20` (visits after the clock; None without clicks), `overlap@20`, `overlap@100` (share of
        the whole model's head that is in this one's), `order@20`, `order@100` (NDCG, gains being the whole model's
        probabilities), both means over segments; `deep_pairs`, `seconds`, `pairs_per_second`.
    """
    names = [field.name for field in whole.schema.of_role("item")]
    items = read_items(arena.item_features, names, item_kind=arena.shelf)
    variant = arena.default_variant
    segments = {segment.id: dict(segment.values) for segment in arena.catalogue.segments_of(variant)}
    viewers = list(segments.values())
    on_stage(f"scoring {items.num_rows} items for {len(viewers)} segments")
    ways = {"whole": _timed(Grid(whole), items, viewers)}
    if has_embeddings(whole.model):
        ways["int8"] = _timed(Grid(as_bytes(whole)), items, viewers)
    for top in tops:
        on_stage(f"cascade, {top} go on")
        ways[f"cascade {top}"] = _cascaded(Cascade(Grid(cheap), Grid(whole), lists=lists), items, viewers, top)
    ways["cheap"] = _timed(Grid(cheap), items, viewers)
    ways["cheap"].share = 0.0
    judging = Judging(arena.outcomes, seed=arena.seed)
    rows = rows_by_visit(arena.outcomes, arena.catalogue, variant=variant, segments=list(segments))
    ids = items.column("item_id").to_pylist()
    for name, way in ways.items():
        on_stage(f"judging {name}")
        judging.hear(name, Contestant(placed(arena.outcomes, ids, way.scores.T), rows))
    metrics = judging.report()["metrics"]
    return [
        {
            "way": name,
            **{key: metrics.get(name, {}).get(key) for key in ("gauc", "ndcg@20")},
            **agreement(way.scores, ways["whole"].scores),
            "deep_pairs": way.share,
            "seconds": way.seconds,
            "pairs_per_second": way.scores.size / way.seconds,
        }
        for name, way in ways.items()
    ]


def agreement(scores: NDArray[np.float64], whole: NDArray[np.float64]) -> dict[str, float]:
    """`overlap@n` and `order@n` of scores (n items, k segments) with the whole model's, means over segments."""
    found: dict[str, float] = {}
    theirs, ours = (np.argsort(-each, axis=0, kind="stable") for each in (whole, scores))
    for n in (min(head, len(whole)) for head in HEADS):
        discount = 1.0 / np.log2(np.arange(2, n + 2))[:, None]
        same = [len(np.intersect1d(a, b)) / n for a, b in zip(theirs[:n].T, ours[:n].T, strict=True)]
        gains = [(np.take_along_axis(whole, order[:n], 0) * discount).sum(0) for order in (ours, theirs)]
        found |= {f"overlap@{n}": float(np.mean(same)), f"order@{n}": float(np.mean(gains[0] / gains[1]))}
    return found


def _timed(grid: Grid, items: pa.Table, viewers: list[dict[str, str]]) -> Way:
    started = time.perf_counter()
    part = grid.segments(viewers)
    found = np.concatenate([grid.score(block, part) for block in _blocks(items)])
    return Way(found, time.perf_counter() - started)


def _cascaded(cascade: Cascade, items: pa.Table, viewers: list[dict[str, str]], top: int) -> Way:
    started = time.perf_counter()
    parts = cascade.segments(viewers)
    tops: dict[str, list[NDArray[np.float64]]] = {}
    for block in _blocks(items):
        for name, chances in cascade.tops(block, parts, top):
            tops.setdefault(name, []).append(chances)
    bars = {name: bar_of(chances, top) for name, chances in tops.items()}
    cascade = Cascade(cascade.cheap, cascade.deep, lists=cascade.lists, bars=bars)
    found = np.concatenate([cascade.score(block, parts) for block in _blocks(items)])
    return Way(found, time.perf_counter() - started, cascade.chosen / found.size)


def _blocks(items: pa.Table) -> list[pa.Table]:
    return [items.slice(start, BLOCK).combine_chunks() for start in range(0, items.num_rows, BLOCK)]


def _cheap(
    night: Night, shelf: str, arena: Arena, cascade: CascadeSettings, on_stage: Callable[[str], None]
) -> Checkpoint:
    recipe = night.recipe.shelves[shelf]
    folder = night.folder("models") / shelf / CHEAP
    if (folder / "checkpoint.json").is_file() and (found := load(folder)).settings == cascade.model:
        return found
    on_stage(f"training {cascade.model.kind}")
    vectors = read_vectors(arena.item_features, recipe.fields, item_kind=shelf)
    examples = read_examples(arena.examples, Encoder(recipe.fields), item_kind=shelf, vectors=vectors)
    before = examples.where(examples.time < arena.clock)
    return develop(
        cascade.model, recipe.fields, examples=before, valid_from=arena.valid_from, training=recipe.training
    ).checkpoint
