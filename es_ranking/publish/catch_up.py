"""What owners have written into an index since: later writes by their number, deletions by ids.

Every write to a shard has a number greater than all before it (`_seq_no`), so what is greater than the shard's last one
at a moment was written after it. A deleted document leaves nothing to find: but an index that has every document which
this one has or had since then has too much wherever it counts more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.sample import by_seed
from segments.errors import Refused

_PAGE, _COUNTS_A_REQUEST = 1_000, 100
_PARTS, _SMALLEST_PART, _LARGEST_PART = 200, 1_000, 10_000
_SAMPLE, _SAMPLES_A_PART = 10_000, 10
Query = Mapping[str, Any]


def writes_between(since: Mapping[str, int], upto: Mapping[str, int]) -> int:
    """How many writes lie between two states of an index's shards; of an unknown one (empty), all there ever were."""
    return sum(number - since.get(shard, -1) for shard, number in upto.items())


def written_since(
    engine: Engine, index: str, since: Mapping[str, int], *, whole: bool = True
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, document) of every document written after the given `_seq_no` of its shard, as far as it is refreshed.

    Args:
        whole: or empty documents, where only ids are wanted.

    Raises:
        Refused: a document was written with a routing of its own, which publishing does not know.
    """
    for shard, first in since.items():
        last = first
        while True:
            body = {"size": _PAGE, "query": {"range": {"_seq_no": {"gt": last}}}, "sort": [{"_seq_no": "asc"}],
                    "_source": whole, "track_total_hits": False}  # fmt: skip
            hits = engine.search(index, body, preference=f"_shards:{shard}", timeout_seconds=120.0)["hits"]["hits"]
            for hit in hits:
                if "_routing" in hit:
                    raise Refused(f"the document {hit['_id']} has a routing of its own", where=index,
                                  hint="write it without")  # fmt: skip
                yield hit["_id"], hit.get("_source", {})
            if len(hits) < _PAGE:
                break
            last = hits[-1]["sort"][0]


def parted(engine: Engine, index: str) -> list[Query]:
    """Queries that part any copy of the index by item id, some two hundred of about the same size.

    The more there are the less is read where one differs, and the longer it takes to count them all. Where they lie is
    told by a sample (by a fixed seed), so that not every id is read.
    """
    documents = engine.count(index)
    size = min(max(documents // _PARTS, _SMALLEST_PART), _LARGEST_PART)
    known = by_seed({"exists": {"field": "item_id"}})
    body = {"size": _SAMPLE, "query": known, "_source": False, "stored_fields": "_none_",
            "docvalue_fields": ["item_id"], "track_total_hits": False}  # fmt: skip
    hits = engine.search(index, body, timeout_seconds=120.0)["hits"]["hits"]
    sample = sorted({str(hit["fields"]["item_id"][0]) for hit in hits})
    step = max(size * len(sample) // max(1, documents), _SAMPLES_A_PART)
    edges = [None, *sample[step - 1 :: step], None]
    ranges = [{"gt": low, "lte": high} for low, high in pairwise(edges)]
    return [{"bool": {"must_not": {"exists": {"field": "item_id"}}}}] + [
        {"range": {"item_id": {key: value for key, value in one.items() if value is not None}}} for one in ranges
    ]


def counts(engine: Engine, index: str, parts: Sequence[Query]) -> list[int]:
    """Documents of each part."""
    found: list[int] = []
    for start in range(0, len(parts), _COUNTS_A_REQUEST):
        bodies = [(index, {"size": 0, "track_total_hits": True, "query": query})
                  for query in parts[start : start + _COUNTS_A_REQUEST]]  # fmt: skip
        found += [int(answer["hits"]["total"]["value"]) for answer in engine.msearch(bodies, timeout_seconds=120.0)]
    return found


def too_many(engine: Engine, copy: str, source: str, parts: Sequence[Query]) -> list[str]:
    """Ids that the copy, which has all that the source has, has besides; looks only where the counts differ."""
    extra: list[str] = []
    for query, ours, theirs in zip(
        parts, counts(engine, copy, parts), counts(engine, source, parts), strict=True
    ):  # fmt: skip
        if ours != theirs:
            extra += sorted(_ids(engine, copy, query) - _ids(engine, source, query))
    return extra


def with_attributes(document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The document with attributes as fields of their own; `attributes.painless` does the same inside the engine."""
    given = document.get("attributes") or {}
    return {**document, **{name: given[name] for name in names if given.get(name) is not None}}


def _ids(engine: Engine, index: str, query: Query) -> set[str]:
    found: set[str] = set()
    after: list[Any] = []
    while True:
        body = {"size": _LARGEST_PART, "query": query, "sort": [{"item_id": "asc"}, {"_seq_no": "asc"}],
                "_source": False, "track_total_hits": False}  # fmt: skip
        hits = engine.search(index, {**body, "search_after": after} if after else body)["hits"]["hits"]
        found.update(hit["_id"] for hit in hits)
        if len(hits) < _LARGEST_PART:
            return found
        after = hits[-1]["sort"]
