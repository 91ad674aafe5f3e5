"""What a reindex needs of the engine contract, over HTTP: copy by itself, what was written since, no more writes.

The same paths on every product; `rest` sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from es_ranking.engine.contract import Answer, Body, Copying
from es_ranking.engine.errors import EngineBusy
from es_ranking.engine.translate import reason_of
from es_ranking.engine.transport import Reply, quoted


class RestCopying:
    """Part of `RestEngine`, which sends and translates."""

    _read: Callable[..., Answer]
    _once: Callable[..., Answer]
    _call: Callable[..., Reply]

    def close_to_writes(self, index: str) -> None:
        answer = self._read("PUT", f"/{quoted(index)}/_block/write")
        # An index that is closed already is not among those that were to be closed.
        if answer["indices"] and not answer["shards_acknowledged"]:
            raise EngineBusy("writes are still under way", where=index, hint="run again later")

    def checkpoints(self, index: str) -> dict[str, int]:
        (stats,) = self._read("GET", f"/{quoted(index)}/_stats/docs", params={"level": "shards"})["indices"].values()
        return {
            number: int(copy["seq_no"]["global_checkpoint"])
            for number, copies in stats["shards"].items()
            for copy in copies
            if copy["routing"]["primary"]
        }

    def start_reindex(
        self,
        source: str,
        target: str,
        *,
        requests_per_second: float | None = None,
        slices: int | None = None,
        script: Body | None = None,
    ) -> str:
        # What is there already is left as it is: a copying that was cut goes on where it stopped.
        body: dict[str, Any] = {
            "conflicts": "proceed",
            "source": {"index": source},
            "dest": {"index": target, "op_type": "create"},
        }
        if script:
            body["script"] = script
        params = {
            "wait_for_completion": "false",
            "require_alias": "true",
            "requests_per_second": _speed(requests_per_second),
            "slices": str(slices or "auto"),
        }
        return str(self._once("POST", "/_reindex", body, params=params)["task"])

    def reindexing(self, target: str) -> str | None:
        params = {"actions": "*reindex", "detailed": "true", "group_by": "none"}
        tasks = self._read("GET", "/_tasks", params=params)["tasks"]
        into = f"to [{target}]"
        found = [task for task in tasks if into in task.get("description", "") and "parent_task_id" not in task]
        return f"{found[0]['node']}:{found[0]['id']}" if found else None

    def rethrottle(self, task: str, requests_per_second: float | None) -> None:
        params = {"requests_per_second": _speed(requests_per_second)}
        self._read("POST", f"/_reindex/{quoted(task)}/_rethrottle", params=params)

    def copying(self, task: str) -> Copying | None:
        reply = self._call("GET", f"/_tasks/{quoted(task)}", repeatable=True, also=404)
        return _copying_of(reply.body) if reply.status == 200 else None


def _speed(requests_per_second: float | None) -> str:
    return "-1" if requests_per_second is None else f"{requests_per_second:g}"


def _copying_of(answer: Mapping[str, Any]) -> Copying:
    """How far a reindex task is, running or done."""
    status, response = answer["task"]["status"], answer.get("response") or {}
    failures = response.get("failures") or []
    failure, refused = None, None
    if "error" in answer:
        failure = reason_of(answer)
    elif failures:
        # A document has an id and a cause; what could not be read has a reason.
        refused = failures[0].get("id")
        failure = reason_of({"error": failures[0].get("cause") or failures[0].get("reason")})
    elif response.get("canceled"):
        failure = f"it was cancelled: {response['canceled']}"
    looked_at = sum(int(status.get(key, 0)) for key in ("created", "updated", "version_conflicts", "noops"))
    return Copying(bool(answer["completed"]), looked_at, int(status["total"]), failure, refused)
