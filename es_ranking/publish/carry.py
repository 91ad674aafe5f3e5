"""What becomes of owners' documents on their way into a generation that is being made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.catch_up import with_attributes
from es_ranking.publish.write import Documents
from es_ranking.schema import VECTOR

_NIGHTS, _BATCH = ("rank", "list", VECTOR), 500
Written = Iterable[tuple[str, dict[str, Any]]]


class Carrier:
    """Carries them as they are, attributes that have fields of their own there included.

    Args:
        attributes: names of these.
    """

    def __init__(self, attributes: Sequence[str]) -> None:
        self.attributes = attributes

    def carry(self, documents: Written) -> Documents:
        """The documents as the generation shall have them."""
        return ((doc_id, with_attributes(document, self.attributes)) for doc_id, document in documents)

    def forget(self, ids: Sequence[str]) -> None:
        """Called before these are taken away from the generation."""


class UnderNight(Carrier):
    """What owners say of an item is theirs; its ranks, its list and its vector are the generation's own.

    A document that the generation has not got comes without ranks and vector.
    """

    def __init__(self, engine: Engine, index: str, attributes: Sequence[str]) -> None:
        super().__init__(attributes)
        self.engine, self.index = engine, index
        self._gone: dict[str, Mapping[str, Any]] = {}

    def carry(self, documents: Written) -> Documents:
        left = iter(documents)
        while batch := dict(islice(left, _BATCH)):
            for (doc_id, document), nights in zip(batch.items(), self._nights(list(batch)), strict=True):
                owned = {name: value for name, value in document.items() if name not in {"rank", VECTOR}}
                yield doc_id, {**with_attributes(owned, self.attributes), **nights}

    def forget(self, ids: Sequence[str]) -> None:
        # Who deletes a document may write it again before the switch.
        self._gone |= {doc_id: nights for doc_id, nights in zip(ids, self._nights(ids), strict=True) if nights}

    def _nights(self, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            found = self.engine.mget(self.index, some, source=_NIGHTS)
            for doc_id, nights in zip(some, found, strict=True):
                # Without ranks it is one that an owner has brought, and whose list is his own.
                yield nights if nights is not None and "rank" in nights else self._gone.get(doc_id, {})
