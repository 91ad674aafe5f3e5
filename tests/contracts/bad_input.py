"""Whatever comes in gives a result or one of our errors: one door a kind of input, for sixty examples or ten thousand.

Input is what is right with parts of it changed, or junk altogether; hypothesis looks for the smallest that fails.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from cli.main import exit_code_of
from es_ranking.actions.contract import Action
from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineRejected
from es_ranking.experiments.document import Experiments
from es_ranking.policy.changes import changes
from es_ranking.policy.document import Policy, read_policy
from es_ranking.policy.effective import Place, effective
from es_ranking.policy.live import GivenPolicy
from es_ranking.publish.settings import PublishSettings
from es_ranking.query import recommended
from es_ranking.query.cursor import Cursor
from es_ranking.serve.app import build_app
from es_ranking.serve.floor import parted
from es_ranking.serve.service import Service
from es_ranking.serve.settings import ServeSettings
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.expression import LARGEST, Expression
from es_ranking.twiddlers.planner import Planner
from es_ranking.twiddlers.settings import Surface
from segments.assign import Experiment
from segments.catalogue import Catalogue
from segments.errors import Refused, UsageError
from tests.es_ranking.query.shop import NOON, SURFACE

OUR_REFUSALS = (UsageError, Refused, EngineRejected)
KEY = b"a key of sixteen bytes or more"

WORDS = st.sampled_from([
    "", " ", "*", "_all", "a", "all", "B", "d_young", "ann", "p001", "recommended", "item_id", "brand_id", "list",
    "title", "price", "rank.B.all", "_score", "SOUP", "score", "score / 0", "soup", "UTC", "2026-11-27",
    "9999-12-31T23:59", "0001-01-01", "true", "NaN", "1e400", "\u0000", "\ud800", "é", "a" * 600, "../..", "${HOME}",
])  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-3, 300), st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**30]), st.floats(), st.floats(-2, 2)
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.text(max_size=6))
KEYS = st.sampled_from([
    "query", "sort", "from", "size", "aggs", "post_filter", "collapse", "knn", "docvalue_fields", "fields", "_source",
    "min_score", "bool", "must", "filter", "match", "term", "terms", "recommended", "field", "highlight", "pit",
    "stored_fields", "track_total_hits", "runtime_mappings", "function_score", "suggest", "rescore", "timeout",
    "campaigns", "name", "starts", "ends", "zone", "pins", "item", "slot", "boosts", "factor", "items", "where",
    "lists", "expressions", "expression", "priority", "depth", "missing", "kind", "twiddlers", "actions", "threshold",
    "places", "gaps", "gap", "attribute", "look_ahead", "window_days", "crowds", "most", "first", "event_id", "ts",
    "user_id",
])  # fmt: skip
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)

MATCH = {"match": {"title": "soup"}}
GOOD_BODIES: list[Any] = [
    {"query": {"match_all": {}}, "size": 5},
    {"query": {"bool": {"must": [MATCH], "filter": [{"terms": {"list": ["SOUP", "TEA"]}}]}}, "from": 3, "size": 7},
    {
        "query": MATCH,
        "aggs": {"lists": {"terms": {"field": "list", "size": 3}}},
        "highlight": {"fields": {"title": {}}},
    },
    {"post_filter": {"term": {"brand_id": "acme"}}, "_source": ["title"], "track_total_hits": True, "size": 40},
    {"collapse": {"field": "brand_id"}, "query": {"exists": {"field": "brand_id"}}, "min_score": 0.1},
    {"docvalue_fields": ["price", {"field": "brand_id"}], "fields": ["list"], "stored_fields": "_none_", "size": 3},
    {"runtime_mappings": {"x": {"type": "double"}}, "query": {"range": {"price": {"gte": 2}}}, "timeout": "1s"},
]
GOOD_POLICIES: list[Any] = [
    {"campaigns": [
        {"name": "house", "exclusions": [{"items": ["p003"]}, {"where": {"brand_id": ["fizz"]}}], "zone": "UTC",
         "pins": [{"item": "p050", "slot": 3}], "starts": "2017-11-23", "ends": "2018-11-30T08:00"},
        {"name": "tea", "priority": 5, "surfaces": ["shelf"], "lists": {"list": ["TEA"]}, "variants": ["B"],
         "boosts": [{"where": {"list": ["TEA"]}, "factor": 1.8}], "buries": [{"items": ["p009"], "factor": 0.5}],
         "expressions": [{"name": "cheap", "expression": "score / (1 + price)", "depth": 25}]}]},
]  # fmt: skip
GOOD_SURFACES: list[Any] = [
    {"name": "shelf", "at_once": 60, "max_window": 500, "variants": {"B": []}, "twiddlers": [
        {"kind": "downrank", "window_days": 7, "actions": {"view": {"threshold": 2, "places": 3}}},
        {"kind": "interval", "look_ahead": 20, "gaps": [{"attribute": "brand_id", "gap": 3, "priority": 2}]},
        {"kind": "crowding", "crowds": [{"attribute": "list", "most": 2, "first": 8}]},
        {"kind": "pins", "pins": [{"item": "p007", "slot": 2}]}]},
    {"name": "x", "twiddlers": [
        {"kind": "boosts", "boosts": [{"items": ["p001"], "factor": 2}]},
        {"kind": "scripted", "name": "s", "expression": "score + place", "depth": 9},
        {"kind": "downrank", "actions": {"view": {"factor": 0.5}, "click": {"not_in_first": 3}}}]},
]  # fmt: skip
GOOD_SETTINGS: list[Any] = [
    {"shards": 1, "batch_documents": 10, "backoff_seconds": 0.5, "gates": {"min_overlap": 0.1}},
    {"indices": ["shop"], "text_floor": 0.1, "threads": 2, "timeout_seconds": 1.5},
    {"name": "x", "salt": "s", "control": "A", "owners": ["A"] * 1000, "forced": {"ann": "B"}},
    {
        "hold_out": {"slots": 50, "variant": "A"},
        "layers": [{"name": "l", "salt": "s", "owners": ["x"] * 1000}],
        "experiments": [{"name": "x", "salt": "s", "control": "A", "owners": ["A"] * 1000, "layer": "l"}],
    },
    {"run": "r", "families": ["f"], "segments": [{"id": "all", "family": "all"}], "variants": {"A": ["all"]}},
]
GOOD_EVENTS: list[Any] = [
    {"event_id": "e1", "ts": "2026-03-01T11:00:00+01:00", "user_id": "ann", "item_id": 1, "kind": "click", "value": 3},
    {"events": [{
        "action_name": "view", "timestamp": 1772362800000, "client_id": "c", "query_id": "q",
        "event_attributes": {"object": {"object_id": "p1"}, "position": {"ordinal": 2}}}]},
]  # fmt: skip


@st.composite
def changed(draw: Any, good: Sequence[Any]) -> Any:
    """Something right, with one to three of its parts changed."""

    def change(value: Any) -> Any:
        inside = value and draw(st.integers(0, 3))
        if isinstance(value, dict) and inside:
            key = draw(st.sampled_from(sorted(value)))
            return {**value, key: change(value[key])}
        if isinstance(value, list) and inside:
            at = draw(st.integers(0, min(len(value), 5) - 1))
            return [*value[:at], change(value[at]), *value[at + 1 :]]
        if isinstance(value, dict) and draw(st.booleans()):
            return {**value, draw(KEYS): draw(JUNK)}
        return draw(JUNK)

    made = deepcopy(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 3))):
        made = change(made)
    return made


def near(good: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is nearly right, now and then junk."""
    return st.one_of(changed(good), changed(good), changed(good), JUNK)


PARTS = st.sampled_from(
    ["x", "score", "1", "0", "2.5", "+", "-", "*", "/", "%", "**", "(", ")", " if ", " else ", " and ", " not ", "<",
     "==", "min(", ",", "log1p(", ".", "__", "'", "[", "lambda", ":", " in ", "1e12", "{", "\\"]
)  # fmt: skip
EXPRESSIONS = st.tuples(st.text(max_size=60) | st.lists(PARTS, max_size=14).map("".join), st.floats(-1e12, 1e12))
CURSORS = st.text(max_size=80) | st.lists(
    st.sampled_from(["A", "eyJ", ".", "~", "_", "-", "=", "00", "ff", "\n", "é", "WzNd"]), max_size=12
).map("".join)
FILES = st.one_of(
    st.binary(max_size=60), st.text(max_size=60).map(str.encode),
    st.lists(st.sampled_from(["a: ", "- ", "[", "{", "}", "]", ": ", "\n", "  ", "2001-99-99", "0x_",
                              "!!python/name:os ", "&a ", "*a", "<<: ", "? ", "|", "'", "\"", "\t", "${HOME}", "${",
                              "1e9", "name: x\n"]),
             max_size=12).map(lambda parts: "".join(parts).encode()),
    st.just(b"a: " + b"[" * 1500),
    changed(GOOD_SURFACES).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
NAMED = st.dictionaries(
    st.sampled_from(["user", "surface", "segment", "variant", "cursor", "at", "without", "floor", "explain", "usr"]),
    WORDS | st.text(max_size=8), max_size=3,
)  # fmt: skip
ENGINES = st.dictionaries(
    st.sampled_from(["from", "size", "sort", "track_total_hits", "routing", "scroll", "q", "typed_keys", "pretty"]),
    st.sampled_from(["recommended", "price:asc", "1", "-1", "x", "true", "99999999999"]), max_size=2,
)  # fmt: skip
SORTS = st.sampled_from([None, "recommended", [{"recommended": {"order": "desc"}}, {"item_id": "asc"}], "price"])


@dataclass(frozen=True)
class Door:
    """One kind of input, and what takes it: raises nothing but an AssertionError, whatever comes."""

    name: str
    strategy: st.SearchStrategy[Any]
    take: Callable[[Any], None]

    def knock(self, examples: int, *, start: int = 0) -> None:
        """So many examples, the same for the same start."""

        @seed(start)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(self.strategy)
        def take(value: Any) -> None:
            self.take(value)

        take()


def expression(given_one: tuple[str, float]) -> None:
    text, value = given_one
    with suppress(UsageError):
        read = Expression.of(text)
        found = read.compute(dict.fromkeys(read.names, value))
        assert -LARGEST <= found <= LARGEST


def cursor(text: str) -> None:
    with suppress(UsageError):
        Cursor.open(parted(text)[0], spec="x", now=1.0, key=KEY)
        raise AssertionError("a cursor that nobody signed")


def policy(document: Any) -> None:
    with suppress(UsageError):
        read = Policy.of(document)
        effective(read, Place(NOON, "shelf", "B", "all", {"term": {"list": "TEA"}}))
        assert changes(None, read) is not None
        assert read.to_yaml().encode("utf-8", "surrogatepass")


def surface(document: Any) -> None:
    """A surface that is right plans a list, too."""
    with suppress(UsageError):
        read = Surface.of(document)
        hits = [Hit(f"p{n:03}", 1 - n / 40, {"brand_id": (f"b{n % 3}",), "list": (f"l{n % 2}",)}) for n in range(40)]
        counts = {"p002": {"view": 3, "click": 1}, "p005": {"view": 1}}
        built = [one.build(Facts(counts, {hit.item_id: hit for hit in hits})) for one in read.twiddlers_of("B")]
        items = [entry.hit.item_id for entry in Planner(built).plan(hits, 40, ended=True).order]
        assert len(set(items)) == len(items)


def configuration(document: Any) -> None:
    for kind in (PublishSettings, ServeSettings, Experiment, Experiments, Catalogue):
        with suppress(UsageError):
            assert kind.of(document).to_yaml()


def file_in(folder: Path) -> Callable[[bytes], None]:
    path = folder / "settings.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        for reader in (Surface.read, read_policy):
            with suppress(UsageError):
                reader(path)

    return read


def doors(engine: Engine, alias: str, service: Service, folder: Path) -> list[Door]:
    """All of them.

    Args:
        alias: a published shop, see tests/es_ranking/query/shop.py.
        service: serves it.
        folder: for files.
    """
    actions = MemoryActionStore()
    actions.record([Action("ann", f"p{n:03}", "purchase", NOON - timedelta(hours=n), str(n)) for n in range(1, 30)])
    given_policy = GivenPolicy(Policy.of(GOOD_POLICIES[0]))

    def body(value: Any) -> None:
        for policies in (None, given_policy):
            with suppress(*OUR_REFUSALS):
                page = recommended(engine, alias, value, user="ann", at=NOON, surface=SURFACE, actions=actions,
                                   policies=policies, explain=True)  # fmt: skip
                assert len(set(page.items)) == len(page.items)
                assert json.dumps(page.to_dict())

    def request(value: tuple[Any, Any, dict[str, str], dict[str, str]]) -> None:
        sent, sort, named, others = value
        ours = {**sent, "sort": sort} if isinstance(sent, dict) and sort else sent
        parameters = {**{f"es_ranking.{name}": text for name, text in named.items()}, **others}
        raw = ours if isinstance(ours, bytes) else json.dumps(ours).encode()
        _post(service, f"/{alias}/_search", raw, {n: t for n, t in parameters.items() if "\ud800" not in t})

    def events(value: Any) -> None:
        _post(service, "/_events", json.dumps(value).encode(), {})

    def command(value: tuple[Any, dict[str, str]]) -> None:
        sent, options = value
        named = [part for name, text in options.items() if name not in {"floor", "explain", "usr"}
                 for part in (f"--{name}", text)]  # fmt: skip
        text = sent if isinstance(sent, str) else json.dumps(sent)
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        with redirect_stdout(out), redirect_stderr(err):
            code = exit_code_of(["search", alias, "--query", text, *named])
        assert code in {0, 1, 2, 3}, (code, err.buffer.getvalue())  # type: ignore[attr-defined]

    return [
        Door("expressions", EXPRESSIONS, expression),
        Door("cursors", CURSORS, cursor),
        Door("policies", near(GOOD_POLICIES), policy),
        Door("surfaces", near(GOOD_SURFACES), surface),
        Door("settings", near(GOOD_SETTINGS), configuration),
        Door("files", FILES, file_in(folder)),
        Door("bodies", near(GOOD_BODIES), body),
        Door("requests", st.tuples(near(GOOD_BODIES) | st.binary(max_size=60), SORTS, NAMED, ENGINES), request),
        Door("events", near(GOOD_EVENTS), events),
        Door("commands", st.tuples(near(GOOD_BODIES) | st.text(max_size=20) | st.just("[" * 50_000), NAMED), command),
    ]


def _post(service: Service, path: str, raw: bytes, parameters: dict[str, str]) -> None:
    """Answered with a result, or a refusal of the one shape; never a failure of the service."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(build_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return await client.post(path, content=raw, params=parameters)

    response = asyncio.run(ask())
    # what is passed on gets the engine's own answer, which has no hint, and may be that it failed
    ours = response.status_code == 200 or "hint" in response.json()["error"]
    assert response.status_code in {200, 400, 404, 409, 413} or not ours, response.text
    assert "Traceback" not in response.text
    if response.status_code != 200:
        assert response.json()["status"] == response.status_code
