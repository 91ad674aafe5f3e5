"""The body of a `_search` as it came: read within limits, and told apart: recommended, or the engine's own business."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from es_ranking.query.body import NAME
from es_ranking.serve.statuses import TooLarge
from segments.errors import UsageError

DEEP = 100
REFUSED = {"scroll": "page with `from`, or with our cursor", "source": "send the body as a body"}
# Of the engine's parameters: these say what the body may say as well, those change nothing of a page.
WINDOW = ("from", "size")
HARMLESS = frozenset({
    "allow_no_indices", "error_trace", "expand_wildcards", "human", "ignore_unavailable",
    "max_concurrent_shard_requests", "preference", "pretty", "request_cache",
})  # fmt: skip
TYPED, TOTAL = "typed_keys", "track_total_hits"
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Parsed:
    """A body and what its sort says.

    Args:
        body: for `recommended`: without the sort, the parameters' window in it.
        recommended: whether it sorts by `recommended`.
    """

    body: dict[str, Any]
    recommended: bool


def parse(raw: bytes, parameters: Iterable[tuple[str, str]], *, deepest: int, item_field: str) -> Parsed:
    """Reads a body with the engine's own parameters beside it.

    Raises:
        UsageError: not JSON, not an object, nested too deep, a parameter or a shape that cannot be planned with.
        TooLarge: a page beyond `deepest`.
    """
    body = read_json(raw) if raw.strip() else {}
    if not isinstance(body, dict):
        raise UsageError("a search body is a JSON object", hint='{"query": {"match_all": {}}, "sort": "recommended"}')
    given = dict(parameters)
    for name, hint in REFUSED.items():
        if name in given:
            raise UsageError(f"the parameter `{name}` is not taken here", hint=hint)
    if given.get(TYPED, "") not in {"", *_WORDS}:
        # The engine cuts the connection instead of answering.
        raise UsageError(f"the parameter `{TYPED}` is true or false", hint=f"{TYPED}=true")
    window = {**body, **{name: _whole(name, given[name]) for name in WINDOW if name in given}}
    start, size = window.get("from", 0), window.get("size", 10)
    if isinstance(start, int) and isinstance(size, int) and start + size > deepest:
        raise TooLarge(f"page too deep: from + size is {start + size}, the service ends at {deepest}")
    sort = given.get("sort", body.get("sort"))
    if not is_recommended(sort, item_field):
        return Parsed(body, recommended=False)
    if TOTAL in given:
        window[TOTAL] = _WORDS.get(given[TOTAL], given[TOTAL])
    left = set(given) - HARMLESS - {"sort", TOTAL, *WINDOW}
    if not {"aggs", "aggregations", "suggest"} & set(body):
        # nothing in the answer would carry a type
        left.discard(TYPED)
    if left:
        raise UsageError(f"parameters cannot be planned with: {', '.join(sorted(left))}", hint="put them in the body")
    window.pop("sort", None)
    return Parsed(window, recommended=True)


def is_recommended(sort: Any, item_field: str) -> bool:
    """Whether a sort means the recommended order: first by `recommended` downwards, then by nothing or the item id.

    >>> is_recommended([{"recommended": {"order": "desc", "missing": "_last"}}, {"item_id": "asc"}], "item_id")
    True
    """
    clauses = sort.split(",") if isinstance(sort, str) else sort if isinstance(sort, list) else [sort]
    named = [_clause(clause) for clause in clauses]
    return named in ([(NAME, "desc")], [(NAME, "desc"), (item_field, "asc")])


def _clause(clause: Any) -> tuple[str, str] | None:
    """Field and order; without an order ours goes down and every other up."""
    if isinstance(clause, str):
        name, _, order = clause.partition(":")
        return name, order or _order(name)
    if isinstance(clause, Mapping) and len(clause) == 1:
        ((name, how),) = clause.items()
        order = how.get("order", _order(name)) if isinstance(how, Mapping) else how
        return str(name), str(order)
    return None


def _order(name: str) -> str:
    return "desc" if name == NAME else "asc"


def read_json(raw: bytes) -> Any:
    """JSON without NaN and without numbers beyond a double, nested no deeper than anything of ours can walk.

    Raises:
        UsageError: it is none.
    """
    try:
        value = json.loads(raw, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid JSON: {str(error)[:200]}", where="body") from error
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > DEEP:
            raise UsageError(f"nested deeper than {DEEP} levels", where="body")
        layer = [
            child
            for one in layer
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return value


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text[:40])


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number we can hold")


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"`{name}` must be a whole number, not negative: {text[:40]!r}", where="parameters")
    return int(text)
