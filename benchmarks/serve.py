"""What the service adds to a search: the engine asked directly, passed on, the library, and planned, taking turns.

python benchmarks/serve.py products --user 2375      (a published index; ES_URL, or the embedded node)
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import urllib3

from es_ranking.actions.connect import connect_actions
from es_ranking.engine.connect import connect
from es_ranking.query import recommended
from es_ranking.twiddlers.settings import load_surface

PORT = 18_090


def measure(index: str, user: str | None, *, blocks: int, size: int) -> dict[str, object]:
    """Median milliseconds over blocks in which the ways take turns, and median ratios within a block."""
    engine, actions, surface = connect(), connect_actions(), load_surface("search")
    pool = urllib3.PoolManager()
    page = {"query": {"match_all": {}}, "size": size}
    headers = {"content-type": "application/json", **({"x-es-ranking-user": user} if user else {})}

    def ask(address: str, body: dict[str, object]) -> None:
        reply = pool.request("POST", f"{address}/{index}/_search", body=json.dumps(body), headers=headers)
        assert reply.status == 200, reply.data
        json.loads(reply.data)

    service = f"http://127.0.0.1:{PORT}"
    by_id = [{"item_id": "asc"}]
    ways: dict[str, Callable[[], object]] = {
        "direct": lambda: ask(engine.url, {**page, "sort": by_id}),
        "passed_on": lambda: ask(service, {**page, "sort": by_id}),
        "library": lambda: recommended(engine, index, page, user=user, surface=surface, actions=actions),
        "planned": lambda: ask(service, {**page, "sort": "recommended"}),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for block in range(blocks + 5):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if block >= 5:
                taken[name].append((time.perf_counter() - started) * 1e3)
    ratios = {"passed_on_to_direct": ("passed_on", "direct"), "planned_to_library": ("planned", "library")}
    return {
        "p50_ms": {name: round(statistics.median(times), 2) for name, times in taken.items()},
        "ratios": {
            name: round(statistics.median(a / b for a, b in zip(taken[one], taken[other], strict=True)), 2)
            for name, (one, other) in ratios.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--user")
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--size", type=int, default=40)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "cli", "-q", "serve", asked.index, "--port", str(PORT)]
    served = subprocess.Popen(command)
    try:
        urllib3.PoolManager().request(
            "GET", f"http://127.0.0.1:{PORT}/_health", retries=urllib3.Retry(connect=9, backoff_factor=0.3)
        )
        print(json.dumps(measure(asked.index, asked.user, blocks=asked.blocks, size=asked.size)))
    finally:
        served.terminate()
        served.wait()


if __name__ == "__main__":
    main()
