"""What the personal re-sort reads of a run: the item vectors, their space, and everybody's clicks as tastes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from es_ranking.tastes.contract import Taste
from es_ranking.tastes.vectors import PACKED
from segments.catalogue import ALL, Catalogue
from segments.errors import Refused
from spark_jobs.history import current_segments
from spark_jobs.models.click_history import Clicks, read_clicks
from spark_jobs.night import microseconds
from spark_jobs.outcome_arrays import by_user

if TYPE_CHECKING:
    from spark_jobs.night import Night
    from spark_jobs.recipe import Recipe
    from spark_jobs.tables import Warehouse

Floats = NDArray[np.float32]


def space_of(tables: Warehouse, run: str, recipe: Recipe, kind: str) -> str:
    """The name of the run's item vectors of a shelf, new each time they are made; empty where it has none."""
    manifest = None if recipe.shelves[kind].personal is None else tables.manifest("taste_vectors", run)
    return "" if manifest is None else f"{kind}-{manifest.attempt.removeprefix('attempt-')}"


def published_vectors(night: Night, kind: str) -> tuple[pa.Array, Floats]:
    """Item ids, sorted, and their vectors (n, d) as they are published.

    Raises:
        Refused: the run has none of this kind.
    """
    if not space_of(night.warehouse, night.run, night.recipe, kind):
        raise Refused(
            f"run {night.run} has no item vectors of {kind}s",
            where=night.root,
            hint="`personal:` in the recipe's shelf, then es-ranking nightly run --step embed",
        )
    folder = night.warehouse.folder("taste_vectors", night.run).removeprefix("file:")
    rows = ds.dataset(folder).to_table(["item_id", "packed"], filter=ds.field("item_kind") == kind).sort_by("item_id")
    whole = b"".join(rows.column("packed").to_pylist())
    vectors = np.frombuffer(whole, dtype=PACKED).reshape(rows.num_rows, -1).astype(np.float32)
    return rows.column("item_id").combine_chunks(), vectors


def clicks_of(night: Night, ids: pa.Array, kind: str) -> Clicks:
    """The clicks before the clock that make a taste."""
    personal = night.recipe.shelves[kind].personal
    days = timedelta(days=personal.days if personal else 0)
    folder = night.warehouse.folder("examples", night.run)
    return read_clicks(folder, ids, item_kind=kind, since=microseconds(night.as_of - days), before=night.clock)


def tastes_of(clicks: Clicks, vectors: Floats) -> dict[str, Taste]:
    """Each person's taste, from the vectors (n, d) of the items clicked."""
    start = clicks.start
    return {
        user: Taste(int(end - begin), vectors[clicks.item[begin:end]].sum(axis=0, dtype=np.float32))
        for user, begin, end in zip(clicks.users, start, start[1:], strict=False)
        if end > begin
    }


def segment_tastes(night: Night, tastes: dict[str, Taste]) -> dict[str, Taste]:
    """Segment → the sum of its people's tastes, `all` among them; people are where the clock finds them."""
    members: dict[str, list[Taste]] = {ALL: list(tastes.values())}
    for user, families in segments_at(night).items():
        for segment in families.values() if user in tastes else ():
            members.setdefault(segment, []).append(tastes[user])
    return {
        name: Taste(sum(taste.count for taste in held), np.sum([taste.total for taste in held], axis=0))
        for name, held in members.items()
        if held
    }


def served_segments(night: Night, users: list[str]) -> list[str]:
    """The segment of the default variant that serves each user."""
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    found = segments_at(night)
    return [catalogue.resolve(found.get(user, {}), night.recipe.default_variant) for user in users]


def segments_at(night: Night) -> dict[str, dict[str, str]]:
    """User → family → segment at the clock."""
    return by_user(current_segments(night.warehouse.read("user_segments", night.run), night.as_of))
