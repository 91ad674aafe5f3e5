"""Lists that were read and planned so far, by the cursor of their next page: that page goes on where this one ended.

Only a memory: a cursor says everything that a page needs, and on another front end, after a restart, or where too many
lists were begun since, the page is planned from the first hit on. It is the same page.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from weakref import WeakKeyDictionary

from es_ranking.engine.contract import Engine
from es_ranking.query.planning import Kept

MOST = 256
"""Lists kept for each engine: a list holds what was read and not shown yet, some hundred kilobytes at most."""


class KeptLists:
    """The last lists, thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_cursor: OrderedDict[str, Kept] = OrderedDict()
        self._lock = Lock()

    def take(self, cursor: str) -> Kept | None:
        """The list that goes on there, if it is kept. It is taken away: whoever goes on with it changes it."""
        with self._lock:
            return self._by_cursor.pop(cursor, None)

    def put(self, cursor: str, kept: Kept) -> None:
        """Keeps a list for its next page; the one unused for longest goes."""
        with self._lock:
            self._by_cursor[cursor] = kept
            while len(self._by_cursor) > self._most:
                self._by_cursor.popitem(last=False)


_kept: WeakKeyDictionary[Engine, KeptLists] = WeakKeyDictionary()


def kept_of(engine: Engine) -> KeptLists:
    """Those of an engine."""
    return _kept.setdefault(engine, KeptLists())
