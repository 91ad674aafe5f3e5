"""A shop of any size to measure with: made from item numbers alone, so that a block can be made when it is needed."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from es_ranking.engine.contract import Engine
from es_ranking.publish.documents import main_document
from es_ranking.publish.plan import PublishPlan, plan_publish
from es_ranking.publish.settings import PublishSettings
from segments.catalogue import ALL, Catalogue, Segment, everyone
from segments.errors import RankingError
from segments.hashing import stir, uniforms

log = logging.getLogger("es_ranking.bench")
PREFIX = "es-ranking-bench"
VARIANT, AUTHOR, CATEGORIES = "B", "author_id", 20
RUN, AS_OF = "20260101T000000", "2026-01-01T00:00:00+00:00"
SETTINGS = PublishSettings(raise_field_limit=True, keyword_attributes=(AUTHOR,))
_BRANDS, _AUTHORS = 400, 5_000

Row = tuple[str, dict[str, Any], dict[str, dict[str, float]]]
"""Item id, its row of the items table, its ranks: what reading the tables gives."""


def rows(numbers: Sequence[int], names: Sequence[str], *, night: int = 0) -> list[Row]:
    """Items by number: 20 categories of one size, 400 brands and 5,000 authors of very different sizes.

    Args:
        names: segments to have a score for, uniform in (0, 1).
        night: another night has other scores.
    """
    keys = stir(np.asarray(numbers, dtype=np.uint64))
    # A cube: the largest brand has 14 % of the items, the median one 0.1 %.
    brands = (_BRANDS * uniforms(keys, 1) ** 3).astype(int).tolist()
    authors = (_AUTHORS * uniforms(keys, 2) ** 3).astype(int).tolist()
    prices = (1.0 + 99.0 * uniforms(keys, 3)).round(2).tolist()
    first = 100 + night * len(names)
    scores = np.stack([uniforms(keys, first + at) for at in range(len(names))], axis=1).tolist()
    return [
        (
            f"i{number:08d}",
            {
                "item_id": f"i{number:08d}",
                "kind": "product",
                "title": f"Item {number} of brand {brand}",
                "brand_id": f"b{brand}",
                "category": ["SHOP", f"C{number % CATEGORIES}"],
                "price": price,
                "available": True,
                "attributes": {AUTHOR: f"a{author}"},
            },
            {VARIANT: dict(zip(names, ranks, strict=True))},
        )
        for number, brand, author, price, ranks in zip(numbers, brands, authors, prices, scores, strict=True)
    ]


def documents(read: Sequence[Row]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, document) pairs, made the way a night makes them."""
    for item_id, item, ranks in read:
        yield (
            item_id,
            main_document(item, ranks, list_name=item["category"][-1], keyword_attributes=(AUTHOR,)),
        )


def segment_names(segments: int) -> list[str]:
    """`all` and others, one rank field each."""
    return [ALL, *(f"s_{number:04d}" for number in range(1, segments))]


def plan_of(engine: Engine, alias: str, *, count: int, segments: int) -> PublishPlan:
    """The plan to publish the first `count` items.

    Raises:
        Refused: the engine has no room for them.
    """
    others = (Segment(id=name, family="made") for name in segment_names(segments)[1:])
    catalogue = Catalogue(families=("made",), segments=(everyone(1), *others), variants={VARIANT: ("made", ALL)})
    return plan_publish(engine, alias, run=RUN, as_of=AS_OF, catalogue=catalogue, default_variant=VARIANT,
                        documents=count, users=0, settings=SETTINGS)  # fmt: skip


@contextmanager
def own_alias(engine: Engine) -> Iterator[str]:
    """A name nobody else uses; every index whose name begins with it is removed in the end, however it ends."""
    alias = f"{PREFIX}-{uuid.uuid4().hex[:12]}"
    try:
        yield alias
    finally:
        try:
            for state in engine.indices(f"{alias}*"):
                engine.delete_index(state.name, missing_ok=True)
        except RankingError as error:
            # What brought us here matters more.
            log.warning("the indices %s* could not be removed: %s", alias, error)
