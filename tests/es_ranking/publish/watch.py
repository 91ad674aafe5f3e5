"""What must hold whatever goes wrong: every product has the ranks of one night, and searches go on meanwhile."""

from __future__ import annotations

import json
from threading import Event, Thread
from types import TracebackType
from typing import Self

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import serving
from es_ranking.query import recommended
from tests.es_ranking.publish.shop import ITEMS, documents

ORDER = [f"i{number:03d}" for number in range(ITEMS)]


def turn_of(engine: Engine, alias: str) -> int:
    """The night that serves, which every single document must be of, under every name."""
    found = {hit["_id"]: hit["_source"] for hit in engine.search(alias, {"size": 10 * ITEMS})["hits"]["hits"]}
    first = max(found, key=lambda item: found[item]["rank"]["B"]["all"])
    turn = -ORDER.index(first) % ITEMS
    assert found == json.loads(json.dumps(dict(documents(turn=turn)))), "documents of several nights, or lost ones"
    now = serving(engine, alias)
    assert now is not None
    for name, index in now.generation.indices.items():
        assert engine.get_alias(name) == [index]
    assert engine.count(f"{alias}-users") == 2
    return turn


class Searcher:
    """Keeps searching while something goes wrong.

    Args:
        excused: errors that are not ours, such as those of an engine that is being restarted.
    """

    def __init__(self, engine: Engine, alias: str, *, excused: tuple[type[Exception], ...] = ()) -> None:
        self._engine, self._alias, self._excused = engine, alias, excused
        self._stop = Event()
        self._thread = Thread(target=self._search, daemon=True)
        self.pages = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pages = self.pages
        self._stop.set()
        self._thread.join(60)
        if error is None:
            assert not self.wrong, self.wrong[:3]
            assert pages or self._excused, "no search came through"

    def _search(self) -> None:
        while not self._stop.wait(0.03):
            try:
                page = recommended(self._engine, self._alias, {"size": ITEMS}, user="u1")
            except self._excused:
                continue
            except Exception as error:
                self.wrong.append(repr(error))
                continue
            self.pages += 1
            at = ORDER.index(page.items[0]) if page.items else 0
            if page.items != ORDER[at:] + ORDER[:at] or page.flags or page.segment != "d_young":
                self.wrong.append(f"{page.generation} {page.segment} {page.flags} {page.items}")
