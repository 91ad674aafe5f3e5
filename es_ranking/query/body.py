"""The caller's query body, taken apart: what chooses the hits, what is shown of them, and which page.

Everything is a plain dict as the engine takes it. The caller's dict is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from es_ranking.query.shape import check_shape
from segments.errors import UsageError

Body = dict[str, Any]

SHOWN = (
    "_source", "fields", "docvalue_fields", "stored_fields", "script_fields", "highlight", "version",
    "seq_no_primary_term", "explain", "track_scores",
)  # fmt: skip
COUNTED = ("aggs", "aggregations", "suggest", "track_total_hits", "timeout", "profile", "stats")
REFUSED = {
    "search_after": "page with the cursor of the page before",
    "pit": "the cursor keeps to one generation",
    "slice": "recommended lists are for pages, not exports",
    "rescore": "the engine cannot combine rescore with a sort",
    "retriever": "write it as a query",
    "rank": "write it as a query",
}
NAME = "recommended"


@dataclass(frozen=True)
class Asked:
    """A body taken apart.

    Args:
        chosen: what decides which hits there are and what is counted over them.
        shown: what is returned of each hit.
        start, size: the page.
    """

    chosen: Body
    shown: Body
    start: int
    size: int

    @property
    def spec(self) -> Body:
        """What decides which hits there are: the part a cursor is bound to."""
        return {key: value for key, value in self.chosen.items() if key not in COUNTED}

    def counting(self, other: Asked) -> Asked:
        """The same hits, counted over as another request for them wants it."""
        counted = {key: value for key, value in other.chosen.items() if key in COUNTED}
        return replace(self, chosen={**self.spec, **counted})

    @property
    def required(self) -> Body:
        """What every hit matches."""
        return {"bool": {"filter": [self.chosen[key] for key in ("query", "post_filter") if key in self.chosen]}}

    @property
    def in_one(self) -> bool:
        """Whether plan and fetch cannot be two requests: groups and vectors belong to the request that found them."""
        return "collapse" in self.chosen or "knn" in self.chosen

    def without(self, clauses: Sequence[Body]) -> Asked:
        """The same list without what matches one of the clauses, everywhere: hits, totals and aggregations."""
        if not clauses:
            return self
        chosen = dict(self.chosen)
        # the nearest vectors are hits whatever the query says, so they need the filter too
        for name in {"query", "knn"} & set(chosen) or {"query"}:
            part = chosen.get(name, {"match_all": {}})
            chosen[name] = _all_without(part, clauses) if name == "query" else _nearest_without(part, clauses)
        return replace(self, chosen=chosen)

    def strand(self, clause: Body) -> Asked:
        """Those hits of the same list that match a clause; nothing is counted over them."""
        query = {"bool": {"must": [self.chosen.get("query", {"match_all": {}})], "filter": [clause]}}
        return replace(self, chosen={**self.spec, "query": query, "track_total_hits": False})

    def after(self, last: Sequence[Any], *, counted: bool) -> Asked:
        """The hits of the same list behind one with these sort values; counted over is the whole list, or nothing."""
        chosen = self.chosen if counted else {**self.spec, "track_total_hits": False}
        return replace(self, chosen={**chosen, "search_after": list(last)})

    def body(self, sort: Sequence[Body], *, start: int, size: int) -> Body:
        """The caller's own body with another sort and window."""
        return {**self.chosen, **self.shown, "sort": list(sort), "from": start, "size": size}

    def plan_body(self, sort: Sequence[Body], attributes: Sequence[str], *, size: int) -> Body:
        """Only what a plan needs: sort values and the attributes' doc values; no stored field is read."""
        values: Body = {"docvalue_fields": list(attributes)} if attributes else {}
        return {**self.chosen, **values, "stored_fields": "_none_", "sort": list(sort), "from": 0, "size": size}

    def whole_body(self, sort: Sequence[Body], attributes: Sequence[str], *, size: int) -> Body:
        """Plan and fetch in one: the caller's fields and the attributes' doc values."""
        body = self.body(sort, start=0, size=size)
        own = list(self.shown.get("docvalue_fields", ()))
        body["docvalue_fields"] = own + [name for name in attributes if name not in self.doc_values()]
        return body

    def fetch_body(self, item_field: str, items: Sequence[str]) -> Body:
        """The planned items with the caller's fields; the query stays, highlights depend on it."""
        query: Body = {"filter": [{"terms": {item_field: list(items)}}]}
        if "query" in self.chosen:
            query["must"] = [self.chosen["query"]]
        runtime = {key: self.chosen[key] for key in ("runtime_mappings",) if key in self.chosen}
        return {
            **runtime, **self.shown, "query": {"bool": query}, "sort": [{item_field: "asc"}], "size": len(items),
            "track_total_hits": False,
        }  # fmt: skip

    def pins_body(self, sort: Sequence[Body], item_field: str, items: Sequence[str], attributes: Sequence[str]) -> Body:
        """Which of some items match the query and its post filter."""
        body: Body = {key: value for key, value in self.spec.items() if key not in {"query", "collapse", "knn"}}
        query: Body = {"filter": [{"terms": {item_field: list(items)}}]}
        if "query" in self.chosen:
            query["must"] = [self.chosen["query"]]
        return {
            **body, "query": {"bool": query}, "docvalue_fields": list(attributes), "stored_fields": "_none_",
            "sort": list(sort), "size": len(items),
        }  # fmt: skip

    def doc_values(self) -> set[str]:
        """Doc-value fields the caller asks for himself."""
        own = self.shown.get("docvalue_fields", ())
        return {field["field"] if isinstance(field, Mapping) else str(field) for field in own}


def take_apart(body: Mapping[str, Any], *, max_window: int) -> Asked:
    """Checks a body and takes it apart.

    Raises:
        UsageError: a key that cannot be combined with a recommended sort, another sort, a part of another shape, or a
            page that is none.
    """
    if not isinstance(body, Mapping):
        raise UsageError("the query body must be a mapping", hint='{"query": {"match_all": {}}, "size": 20}')
    for key, hint in REFUSED.items():
        if key in body:
            raise UsageError(f"`{key}` cannot be combined with recommended", where="query body", hint=hint)
    _check_sort(body.get("sort"))
    check_shape(body)
    start, size = _whole(body, "from", 0), _whole(body, "size", 10)
    if start + size > max_window:
        raise UsageError(
            f"page too deep: from + size is {start + size}, the window ends at {max_window}", where="query body"
        )
    rest = {key: value for key, value in body.items() if value is not None and key not in {"from", "size", "sort"}}
    shown = {key: rest.pop(key) for key in SHOWN if key in rest}
    return Asked(rest, shown, start, size)


def _all_without(query: Body, clauses: Sequence[Body]) -> Body:
    return {"bool": {"must": [query], "must_not": list(clauses)}}


def _nearest_without(knn: Any, clauses: Sequence[Body]) -> Any:
    if isinstance(knn, list):
        return [_nearest_without(one, clauses) for one in knn]
    own = knn.get("filter", [])
    filters = own if isinstance(own, list) else [own]
    return {**knn, "filter": [*filters, {"bool": {"must_not": list(clauses)}}]}


def _check_sort(sort: Any) -> None:
    clauses = sort if isinstance(sort, list) else [] if sort is None else [sort]
    for clause in clauses:
        if clause != NAME and not (isinstance(clause, Mapping) and set(clause) == {NAME}):
            raise UsageError(
                "the body has a sort of its own", where="query body", hint=f'leave it out, or write "sort": "{NAME}"'
            )


def _whole(body: Mapping[str, Any], key: str, default: int) -> int:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"`{key}` must be a whole number, not negative: {value!r}", where="query body")
    return value
