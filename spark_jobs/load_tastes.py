"""Step `load_tastes`, by its own command: everybody's taste as of the clock goes into the taste store.

Tastes are kept by the space of the run's item vectors, so that this may be done before the run is published as well as
after it, and again at any time: tastes of the vectors that serve stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from es_ranking.tastes.connect import connect_tastes
from segments.errors import EngineUnreachable
from spark_jobs.taste_rows import clicks_of, published_vectors, segment_tastes, space_of, tastes_of

if TYPE_CHECKING:
    from spark_jobs.night import Night

PATIENCE = 10.0  # seconds for a thousand users: nobody waits for a page here


def run(night: Night) -> dict[str, object]:
    """Loads the tastes of every personal shelf; returns users and the space, by item kind.

    Raises:
        Refused: the run has no item vectors.
        EngineUnreachable: no store is configured.
        TastesUnavailable: the store does not answer.
    """
    store = connect_tastes(timeout_seconds=PATIENCE)
    if store is None:
        raise EngineUnreachable("no taste store is configured", hint="set REDIS_URL, or es-ranking node start")
    figures: dict[str, object] = {}
    for kind, shelf in night.recipe.shelves.items():
        if shelf.personal is None:
            continue
        ids, vectors = published_vectors(night, kind)
        clicks = clicks_of(night, ids, kind)
        tastes = tastes_of(clicks, vectors)
        space = space_of(night.warehouse, night.run, night.recipe, kind)
        users = store.load(space, night.as_of, tastes.items(), segments=segment_tastes(night, tastes))
        figures[kind] = {"users": users, "clicks": int(clicks.item.size), "space": space}
    return figures


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("load_tastes", run)


if __name__ == "__main__":
    main()
