"""Whether a copy is the same as what it was copied from."""

from __future__ import annotations

from collections.abc import Sequence

from es_ranking.engine.contract import Engine
from es_ranking.publish.catch_up import with_attributes
from es_ranking.publish.sample import by_seed


def unequal(engine: Engine, copy: str, source: str, *, sample: int, attributes: Sequence[str]) -> str:
    """What is wrong with a copy, followed to its end, of a source that is not written any more; empty if nothing is.

    Args:
        sample: how many documents are compared whole, drawn by a fixed seed.
        attributes: see `with_attributes`.
    """
    ours, theirs = engine.count(copy), engine.count(source)
    if ours != theirs:
        return f"{ours} documents instead of {theirs}"
    drawn = by_seed({"match_all": {}})
    hits = engine.search(source, {"size": sample, "query": drawn}, timeout_seconds=120.0)["hits"]["hits"]
    copied = engine.mget(copy, [hit["_id"] for hit in hits])
    for hit, document in zip(hits, copied, strict=True):
        if document != with_attributes(hit["_source"], attributes):
            return f"the document {hit['_id']} differs from its source"
    return ""
