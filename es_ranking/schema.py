"""The index as queries see it: names of rank fields, mappings, and whether they fit the engine's field limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segments.catalogue import ALL, Catalogue
from segments.errors import Refused, UsageError
from segments.naming import checked

RECOMMENDED = "recommended"
VECTOR = "vector"
"""The binary field that holds an item's vector, where a generation has them (es_ranking/tastes/vectors.py)."""
_KEYWORD = {"type": "keyword"}
# Long attribute values are kept in `_source` and simply not indexed: one of them must not refuse a document.
_SHORT_KEYWORD = {"type": "keyword", "ignore_above": 1024}


def rank_field(variant: str, segment: str) -> str:
    """The field that orders for a segment in a variant.

    >>> rank_field("B", "d_35_44")
    'rank.B.d_35_44'
    """
    return f"rank.{_checked_variant(variant)}.{checked(segment)}"


def rank_fields(catalogue: Catalogue) -> dict[str, list[str]]:
    """variant → its segments, `all` included: every rank field a generation must have."""
    return {variant: [segment.id for segment in catalogue.segments_of(variant)] for variant in catalogue.variants}


def mapped_ranks(mapping: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(variant, segment) of every rank field that a mapping has."""
    variants = mapping.get("properties", {}).get("rank", {}).get("properties", {})
    return [(variant, segment) for variant, body in variants.items() for segment in body.get("properties", {})]


def main_mapping(
    ranks: Mapping[str, Sequence[str]],
    *,
    default_variant: str,
    keyword_attributes: Sequence[str] = (),
    index_ranks: bool = True,
    vectors: bool = False,
    further: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The mapping of a product or banner index. Explicit to the last field: an unknown one refuses its document.

    Args:
        ranks: variant → segments.
        default_variant: `recommended` points at its segment `all`.
        keyword_attributes: attributes that become keyword fields of their own, at the top level.
        index_ranks: points for rank fields. With them a sorted read skips what cannot win (Lucene skips for long and
            double), measured at the price of a plain integer sort; without, each sort reads all matches.
        vectors: whether items have vectors for the personal re-sort.
        further: fields laid over these: the owner's, and ours in his way (an analyser for the title).

    Raises:
        UsageError: the default variant is not ranked, an attribute's name is taken, or a further field's is reserved.
    """
    if ALL not in ranks.get(default_variant, ()):
        raise UsageError.unknown("default variant", default_variant, ranks)
    properties: dict[str, Any] = {
        "item_id": _KEYWORD,
        "kind": _KEYWORD,
        "title": {"type": "text", "fields": {"keyword": _SHORT_KEYWORD}},
        "text": {"type": "text"},
        "brand_id": _KEYWORD,
        # All prefixes of the path ("GROCERY", "GROCERY>SOUP"): one term filters any level.
        "category": _KEYWORD,
        "list": _KEYWORD,
        "price": {"type": "double"},
        "created_at": {"type": "date"},
        "available": {"type": "boolean"},
        "store_id": _KEYWORD,
        "attributes": {"type": "object", "enabled": False},
    }
    for name in keyword_attributes:
        if name in properties or name in {"rank", RECOMMENDED, VECTOR} or "." in name:
            raise UsageError(f"the attribute name {name!r} is taken or has a dot", where="publish.keyword_attributes")
        properties[name] = _SHORT_KEYWORD
    if vectors:
        properties[VECTOR] = {"type": "binary", "doc_values": True}
    field = {"type": "double"} if index_ranks else {"type": "double", "index": False}
    properties["rank"] = {
        "properties": {
            _checked_variant(variant): {"properties": {checked(segment): field for segment in segments}}
            for variant, segments in ranks.items()
        }
    }
    properties[RECOMMENDED] = {"type": "alias", "path": rank_field(default_variant, ALL)}
    for name in further or {}:
        if name in {"item_id", "rank", RECOMMENDED, VECTOR}:
            raise UsageError(f"the field {name!r} stays as it is", where="publish.properties")
    return {"dynamic": "strict", "_meta": dict(meta or {}), "properties": laid_over(properties, further or {})}


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two `properties`: fields of `above` replace those of the same path, all others of `below` stay."""
    merged = dict(below)
    for name, field in above.items():
        inner = merged.get(name, {}).get("properties")
        both = inner is not None and "properties" in field
        merged[name] = {**field, "properties": laid_over(inner, field["properties"])} if both else field
    return merged


def side_mapping(payload: str, meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A side index: documents are read by id, so nothing but `_source` is kept of the object `payload`."""
    body = {"type": "object", "enabled": False}
    return {"dynamic": "strict", "_meta": dict(meta or {}), "properties": {payload: body}}


def flat_settings(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings as the engine lists them: `{"index": {"codec": "x"}}` is `{"index.codec": "x"}`."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        path = prefix + name
        flat.update(flat_settings(value, f"{path}.") if isinstance(value, Mapping) else {path: value})
    return flat


def count_fields(mapping: Mapping[str, Any]) -> int:
    """What `index.mapping.total_fields.limit` counts: fields, multi-fields, objects and field aliases."""
    total = 0
    for field in mapping.get("properties", {}).values():
        total += 1 + len(field.get("fields", {})) + count_fields(field)
    return total


def checked_limit(mapping: Mapping[str, Any], *, limit: int, may_raise: bool) -> int:
    """The field limit to set: `limit`, or enough for the mapping if it may be raised.

    Raises:
        Refused: the mapping has more fields than the limit, and it may not be raised.
    """
    needed = count_fields(mapping)
    if needed <= limit:
        return limit
    if may_raise:
        return needed
    ranks = count_fields(mapping["properties"]["rank"]) if "rank" in mapping["properties"] else 0
    raise Refused(
        f"the mapping needs {needed} fields ({ranks} of them for ranks), the limit is {limit}",
        where="index.mapping.total_fields.limit",
        hint="serve fewer variants or segments, or set publish.field_limit or publish.raise_field_limit",
    )


def _checked_variant(variant: str) -> str:
    if not variant.replace("_", "").isalnum() or not variant.isascii():
        raise UsageError(f"a variant's name has letters, digits and _, not {variant!r}")
    return variant
