"""The engine contract over HTTP, once for every product: paths, bodies, retries and errors.

The products speak the same language as far as this project does; what differs is the client library that speaks it
(`Transport`), chosen by the configuration.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from es_ranking.engine.clients import transport_of
from es_ranking.engine.contract import Answer, Body, BulkAction, BulkError, BulkResult, Disk, IndexSize, IndexState
from es_ranking.engine.errors import IndexMissing
from es_ranking.engine.rest_copying import RestCopying
from es_ranking.engine.translate import translated
from es_ranking.engine.transport import JSON, LINES, EngineConfig, NoAnswer, Reply, Request, quoted

BUSY = frozenset({429, 502, 503, 504})
PAUSES = (0.2, 0.8, 2.0)


class RestEngine(RestCopying):
    """`Engine` over a transport. Pickles as its configuration and connects again on the other side.

    Retries: only what may be repeated (reads, and writes that put the same again); bulk requests never, their caller
    knows which actions were taken. A request that timed out is not repeated: that doubles the load that made it slow.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._transport = transport_of(config)
        self._who = config.headers()

    def __reduce__(self) -> tuple[object, ...]:
        return RestEngine, (self.config,)

    def __repr__(self) -> str:
        return f"RestEngine({self.config.product}, {self.url})"

    @property
    def product(self) -> str:
        return self.config.product

    @property
    def url(self) -> str:
        return self.config.url

    def info(self) -> Answer:
        return self._once("GET", "/")

    def search(
        self, index: str, body: Body, *, timeout_seconds: float | None = None, preference: str | None = None
    ) -> Answer:
        params = {"preference": preference} if preference else {}
        return self._read("POST", f"/{quoted(index)}/_search", body, params=params, timeout=timeout_seconds)

    def msearch(self, searches: Sequence[tuple[str, Body]], *, timeout_seconds: float | None = None) -> list[Answer]:
        if not searches:
            return []
        return responses_of(self._read("POST", "/_msearch", lines_of(searches), timeout=timeout_seconds), searches)

    def count(self, index: str, query: Body | None = None) -> int:
        return int(self._read("POST", f"/{quoted(index)}/_count", {"query": query} if query else None)["count"])

    def get(self, index: str, doc_id: str) -> dict[str, Any] | None:
        try:
            answer = self._read("GET", f"/{quoted(index)}/_doc/{quoted(doc_id)}")
        except IndexMissing:
            # A missing document answers 404 as well; only a missing index is worth an error.
            if self.exists(index):
                return None
            raise
        return dict(answer["_source"])

    def mget(self, index: str, ids: Sequence[str], *, source: Sequence[str] | None = None) -> list[Answer | None]:
        if not ids:
            return []
        params = {"_source_includes": ",".join(source)} if source is not None else {}
        answer = self._read("POST", f"/{quoted(index)}/_mget", {"ids": list(ids)}, params=params)
        for document in answer["docs"]:
            if "error" in document:
                kind = document["error"].get("type")
                status = {"security_exception": 403, "index_not_found_exception": 404}.get(kind, 400)
                raise translated(status, document, index)
        return [document.get("_source") if document.get("found") else None for document in answer["docs"]]

    def bulk(self, actions: Iterable[BulkAction], *, refresh: bool = False, require_alias: bool = False) -> BulkResult:
        lines: list[Body | bytes] = []
        ids: list[str | None] = []
        for action in actions:
            target = {"_index": action.index} if action.id is None else {"_index": action.index, "_id": action.id}
            lines.append(orjson.dumps({action.op: target}))
            if action.document is not None:
                lines.append(action.document)
            ids.append(action.id)
        if not ids:
            return BulkResult(done=0)
        params = {"refresh": "true"} if refresh else {}
        if require_alias:
            params["require_alias"] = "true"
        timeout = max(120.0, self.config.timeout_seconds)
        answer = self._once("POST", "/_bulk", lines, params=params, timeout=timeout)
        if not answer["errors"]:
            return BulkResult(done=len(ids))
        errors = []
        for position, item in enumerate(answer["items"]):
            (outcome,) = item.values()
            if "error" in outcome:
                reason = f"{outcome['error'].get('type')}: {outcome['error'].get('reason')}"
                errors.append(BulkError(position, ids[position], int(outcome["status"]), reason))
        return BulkResult(done=len(ids) - len(errors), errors=tuple(errors))

    def create_index(self, index: str, body: Body) -> None:
        self._once("PUT", f"/{quoted(index)}", body)

    def clone_index(self, source: str, target: str, body: Body) -> None:
        settings = {**body.get("settings", {}), "index.blocks.write": None}
        limit = max(120.0, self.config.timeout_seconds)
        self._once("PUT", f"/{quoted(source)}/_clone/{quoted(target)}", {**body, "settings": settings}, timeout=limit)

    def delete_index(self, index: str, *, missing_ok: bool = False) -> None:
        if any(sign in index for sign in "*,?") or index == "_all":
            raise ValueError(f"delete one index by its own name, not {index!r}")
        try:
            self._once("DELETE", f"/{quoted(index)}")
        except IndexMissing:
            if not missing_ok:
                raise

    def exists(self, index: str) -> bool:
        return self._call("HEAD", f"/{quoted(index)}", repeatable=True, also=404).status == 200

    def indices(self, pattern: str) -> list[IndexState]:
        params = {"ignore_unavailable": "true", "allow_no_indices": "true", "flat_settings": "true"}
        found = self._read("GET", f"/{quoted(pattern)}", params=params)
        return [
            IndexState(name, state.get("aliases", {}), state.get("mappings", {}), state.get("settings", {}))
            for name, state in sorted(found.items())
        ]

    def get_mapping(self, index: str) -> Answer:
        found = self._read("GET", f"/{quoted(index)}/_mapping")
        return dict(found[min(found)]["mappings"])

    def put_mapping(self, index: str, mapping: Body) -> None:
        self._read("PUT", f"/{quoted(index)}/_mapping", mapping)

    def put_settings(self, index: str, settings: Body) -> None:
        self._read("PUT", f"/{quoted(index)}/_settings", settings)

    def get_alias(self, alias: str) -> list[str]:
        reply = self._call("GET", f"/_alias/{quoted(alias)}", repeatable=True, also=404)
        return sorted(reply.body) if reply.status == 200 else []

    def update_aliases(self, actions: Sequence[Body]) -> None:
        self._once("POST", "/_aliases", {"actions": list(actions)})

    def refresh(self, index: str) -> None:
        self._read("POST", f"/{quoted(index)}/_refresh", timeout=max(120.0, self.config.timeout_seconds))

    def put_script(self, script_id: str, source: str, *, lang: str = "painless") -> None:
        self._read("PUT", f"/_scripts/{quoted(script_id)}", {"script": {"lang": lang, "source": source}})

    def get_script(self, script_id: str) -> str | None:
        reply = self._call("GET", f"/_scripts/{quoted(script_id)}", repeatable=True, also=404)
        return str(reply.body["script"]["source"]) if reply.status == 200 else None

    def size(self, index: str) -> IndexSize:
        primaries = self._read("GET", f"/{quoted(index)}/_stats/docs,store")["_all"]["primaries"]
        return IndexSize(int(primaries["docs"]["count"]), int(primaries["store"]["size_in_bytes"]))

    def disk(self) -> Disk | None:
        nodes = self._read("GET", "/_nodes/stats/fs")["nodes"].values()
        spaces = [node["fs"]["total"] for node in nodes if node.get("fs", {}).get("total", {}).get("total_in_bytes")]
        if not spaces:
            return None
        least = min(spaces, key=lambda space: space["available_in_bytes"])
        return Disk(free=int(least["available_in_bytes"]), total=int(least["total_in_bytes"]))

    def health(self, index: str | None = None, *, wait_for: str | None = None, timeout_seconds: float = 30.0) -> str:
        params = {"wait_for_status": wait_for, "timeout": f"{timeout_seconds:g}s"} if wait_for else {}
        path = "/_cluster/health" + (f"/{quoted(index)}" if index else "")
        reply = self._call("GET", path, params=params, timeout=timeout_seconds + 5.0, also=408)
        return str(reply.body["status"])

    def close(self) -> None:
        self._transport.close()

    def _read(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """A call that may be repeated: it changes nothing, or the same again."""
        return dict(self._call(method, path, body, repeatable=True, **options).body or {})

    def _once(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """A call that is sent once: when its answer is lost, only the caller can tell what it means."""
        return dict(self._call(method, path, body, **options).body or {})

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        timeout: float | None = None,
        repeatable: bool = False,
        also: int | None = None,
    ) -> Reply:
        """Sends, and sends again what may be repeated; `also` is a status that is an answer, not an error."""
        headers = LINES if isinstance(body, list) else JSON
        limit = timeout or self.config.timeout_seconds
        request = Request(method, path, {**headers, **self._who}, limit, params or {}, body)
        for pause in (*(PAUSES if repeatable else ()), None):
            try:
                reply = self._transport.send(request)
            except NoAnswer as error:
                if pause is None or error.late:
                    raise translated(None, error, self.url) from error
            else:
                if reply.status < 300 or reply.status == also:
                    return reply
                if pause is None or reply.status not in BUSY:
                    raise translated(reply.status, reply.body, path.strip("/"))
            time.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")


def lines_of(searches: Sequence[tuple[str, Body]]) -> list[Body]:
    """The body of an `_msearch`."""
    return [line for index, body in searches for line in ({"index": index}, body)]


def responses_of(answer: Answer, searches: Sequence[tuple[str, Body]]) -> list[Answer]:
    """The answers in an `_msearch`'s.

    Raises:
        RankingError: one of the searches was refused.
    """
    responses: list[Answer] = answer["responses"]
    for (index, _), response in zip(searches, responses, strict=True):
        if "error" in response:
            raise translated(int(response["status"]), response, index)
    return responses
