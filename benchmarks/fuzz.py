"""Bad input by the thousand, through the doors of the test suite: a result, or one of our errors, and nothing else.

PYTHONPATH=. python benchmarks/fuzz.py --examples 10000 --only bodies,requests      (ES_URL, or the embedded node)
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.connect import config_of, connect
from es_ranking.engine.contract import Engine
from es_ranking.serve.event_log import EventLog
from es_ranking.serve.passing import HttpPassing
from segments.errors import RankingError
from tests.contracts.bad_input import doors
from tests.es_ranking.query.shop import open_shop
from tests.es_ranking.serve.door import service_of

ALIAS = "es-ranking-bench-fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000, help="of each kind of input")
    parser.add_argument("--only", default="", help="kinds, with commas between")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable()
    engine, failed = connect(), 0
    with tempfile.TemporaryDirectory() as folder:
        passing, events = HttpPassing(config_of()), EventLog(Path(folder) / "events")
        _close(engine)
        open_shop(engine, ALIAS)
        service = service_of(engine, passing=passing, actions=MemoryActionStore(), events=events, index=ALIAS)
        try:
            for door in doors(engine, ALIAS, service, Path(folder)):
                if given.only and door.name not in given.only.split(","):
                    continue
                began = time.perf_counter()
                try:
                    door.knock(given.examples, start=given.seed)
                except Exception as error:
                    failed += 1
                    print(f"{door.name}: {error!r}", *getattr(error, "__notes__", ()), sep="\n", flush=True)
                    continue
                print(f"{door.name}: {given.examples} in {time.perf_counter() - began:.0f} s", flush=True)
        finally:
            service.pool.close()
            events.close()
            passing.close()
            _close(engine)
    return min(failed, 1)


def _close(engine: Engine) -> None:
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RankingError as error:
        sys.exit(str(error))
