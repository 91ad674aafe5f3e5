"""A click as it happens: the item's vector is read from the serving generation and added to the user's taste."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from es_ranking.actions.contract import Action
from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import serving_meta
from es_ranking.schema import VECTOR
from es_ranking.tastes.contract import Click, TasteStore
from es_ranking.tastes.vectors import from_text
from segments.errors import Refused

CLICK = frozenset({"click"})


def add_clicks(
    engine: Engine, index: str, actions: Sequence[Action], store: TasteStore, *, kinds: Collection[str] = CLICK
) -> int:
    """Adds those actions that are clicks on items with a vector to the tastes; returns how many.

    Args:
        index: the alias queries use.
        kinds: of action that count as a click, such as `purchase` in a shop whose clicks are purchases.

    Raises:
        IndexMissing: nothing is published there.
        Refused: the generation has no vectors.
        TastesUnavailable: nothing is known to have been written; sending them again is safe.
    """
    meta = serving_meta(engine, index)
    if not meta.space:
        raise Refused("this generation has no item vectors", where=index, hint="`personal:` in the recipe's shelf")
    clicks = [action for action in actions if action.kind in kinds]
    items = sorted({action.item for action in clicks})
    documents = engine.mget(meta.generation, items, source=[VECTOR]) if items else []
    texts = {item: (document or {}).get(VECTOR) for item, document in zip(items, documents, strict=True)}
    found = [
        Click(action.user, action.ts, action.event_id, vector)
        for action in clicks
        if (vector := from_text(texts[action.item])).size
    ]
    store.clicked(meta.space, found)
    return len(found)
