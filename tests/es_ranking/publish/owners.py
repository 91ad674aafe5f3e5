"""Owners of a catalogue who never stop writing, whatever is done with the index under them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from es_ranking.engine.contract import BulkAction, Engine


class Owner(Thread):
    """Writes and deletes products of his own until he is told to stop; knows what each must be in the end."""

    def __init__(self, engine: Engine, alias: str, number: int, held: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.engine, self.alias, self.rng, self.stop = engine, alias, random.Random(number), Event()
        self.held: dict[str, Any] = held
        self.ids = [*held, *(f"new-{number}-{n}" for n in range(100))]
        self.taken, self.refused, self.wrong = 0, 0, ""

    def run(self) -> None:
        while not self.stop.wait(0.01):
            actions = []
            for doc_id in self.rng.sample(self.ids, 5):
                price = self.rng.random()
                document = {"item_id": doc_id, "price": price, "attributes": {"colour": "red"},
                            "rank": {"B": {"all": 0.0001 * price + 1e-9}}}  # fmt: skip
                gone = self.rng.random() < 0.3
                actions.append(
                    BulkAction(self.alias, doc_id, None if gone else document, "delete" if gone else "index")
                )
            while actions:
                result = self.engine.bulk(actions)
                again = {error.position for error in result.errors}
                if any(error.status != 403 for error in result.errors):
                    self.wrong = str(result.errors)
                    return
                for position, action in enumerate(actions):
                    if position not in again:
                        self.held[str(action.id)] = action.document
                self.taken += len(actions) - len(again)
                self.refused += len(again)
                actions = [actions[position] for position in sorted(again)]


@contextmanager
def at_work(owners: Sequence[Owner]) -> Iterator[None]:
    """Ends when they have written some more after what is done with the index; none of them was wronged."""
    try:
        yield
        after = sum(owner.taken for owner in owners)
        while sum(owner.taken for owner in owners) < after + 30:
            assert all(owner.is_alive() for owner in owners), [owner.wrong for owner in owners]
    finally:
        for owner in owners:
            owner.stop.set()
            owner.join(60)
    assert [owner.wrong for owner in owners] == [""] * len(owners)
