"""How long a reindex takes, and for how long it refuses writers, while an owner writes through the alias all the time.

python benchmarks/reindex.py --docs 200000 --segments 24 --writes 200
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import count
from threading import Event, Thread

from es_ranking.bench.shop import SETTINGS, documents, own_alias, plan_of, rows, segment_names
from es_ranking.engine.connect import connect
from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.publish.locally import publish
from es_ranking.reindex.plan import plan_reindex
from es_ranking.reindex.run import reindex
from es_ranking.reindex.settings import ReindexSettings

_BLOCK = 5_000


class Owner(Thread):
    """Puts some ten documents at a time, so many a second, and deletes one in a hundred; notes how long he waited."""

    def __init__(self, engine: Engine, alias: str, names: list[str], *, docs: int, writes: float) -> None:
        super().__init__(daemon=True)
        self.engine, self.alias, self.names, self.docs, self.writes = engine, alias, names, docs, writes
        self.stop, self.taken, self.longest = Event(), 0, 0.0

    def run(self) -> None:
        for turn in count():
            if self.stop.wait(10.0 / self.writes):
                return
            numbers = [(turn * 10 + at) * 7_919 % self.docs for at in range(10)]
            actions = [BulkAction(self.alias, *one) for one in documents(rows(numbers, self.names, night=1))]
            if turn % 10 == 0:
                actions[-1] = BulkAction(self.alias, actions[-1].id, None, "delete")
            began = time.perf_counter()
            while errors := self.engine.bulk(actions).errors:
                actions = [actions[error.position] for error in errors]
                time.sleep(0.01)
            self.longest = max(self.longest, time.perf_counter() - began)
            self.taken += 10


def main() -> None:
    """Publishes, reindexes under writes, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=200_000)
    parser.add_argument("--segments", type=int, default=24)
    parser.add_argument("--writes", type=float, default=200.0, help="documents the owner writes a second")
    asked = parser.parse_args()
    names, engine = segment_names(asked.segments), connect(timeout_seconds=120.0)
    with own_alias(engine) as alias:
        plan = plan_of(engine, alias, count=asked.docs, segments=asked.segments)
        made = (one for start in range(0, asked.docs, _BLOCK)
                for one in documents(rows(range(start, min(start + _BLOCK, asked.docs)), names)))  # fmt: skip
        began = time.perf_counter()
        publish(engine, plan, documents=made, settings=SETTINGS)
        published = time.perf_counter() - began
        owner = Owner(engine, alias, names, docs=asked.docs, writes=asked.writes)
        owner.start()
        done = reindex(engine, plan_reindex(engine, alias, settings=ReindexSettings()), publish=SETTINGS, resume=False)
        owner.stop.set()
        owner.join()
        told = {**done.to_dict(), "publish_seconds": round(published, 1), "owner_wrote": owner.taken,
                "owner_waited_longest": round(owner.longest, 3)}  # fmt: skip
        print(
            json.dumps({key: value for key, value in told.items() if key not in {"generation", "replaced"}}, indent=1)
        )


if __name__ == "__main__":
    main()
