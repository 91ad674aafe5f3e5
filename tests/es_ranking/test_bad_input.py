"""Nothing that comes in ends in a traceback or in a failure of the service; `benchmarks/fuzz.py` sends thousands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from es_ranking.actions.memory import MemoryActionStore
from es_ranking.engine.connect import config_of
from es_ranking.engine.contract import Engine
from es_ranking.serve.event_log import EventLog
from es_ranking.serve.passing import HttpPassing
from tests.contracts.bad_input import Door, doors
from tests.es_ranking.query.shop import open_shop
from tests.es_ranking.serve.door import service_of

# On a real node few: each is a search or several.
EXAMPLES = {"expressions": 400, "cursors": 200, "policies": 200, "surfaces": 200, "settings": 150, "files": 200,
            "bodies": 40, "requests": 60, "events": 60, "commands": 20}  # fmt: skip
ALIAS = "t-bad-input"


@pytest.fixture(scope="module")
def by_name(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    folder: Path = tmp_path_factory.mktemp("bad-input")
    _close(engine)
    open_shop(engine, ALIAS)
    passing, events = HttpPassing(config_of(engine.url)), EventLog(folder / "events")
    service = service_of(engine, passing=passing, actions=MemoryActionStore(), events=events, index=ALIAS)
    yield {door.name: door for door in doors(engine, ALIAS, service, folder)}
    service.pool.close()
    events.close()
    passing.close()
    _close(engine)


def _close(engine: Engine) -> None:
    for state in engine.indices(f"{ALIAS}-*"):
        engine.delete_index(state.name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_any_input_gives_a_result_or_one_clear_refusal(
    by_name: dict[str, Door], engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ES_URL", engine.url)
    by_name[name].knock(EXAMPLES[name])


def test_no_kind_is_left_out(by_name: dict[str, Door]) -> None:
    assert set(by_name) == set(EXAMPLES)
