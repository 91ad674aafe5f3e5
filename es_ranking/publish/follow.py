"""Owners write on while a generation is made: what they wrote is brought to it, and they wait only for the switch.

They are kept out (403) while the last of it is brought, for as long as a setting allows. What was written before the
block and after the switch is never lost; nor is what somebody else let in meanwhile, such as `doctor --mend`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.carry import Carrier
from es_ranking.publish.catch_up import Query, parted, too_many, written_since
from es_ranking.publish.delta import delete_documents
from es_ranking.publish.generation import WRITING
from es_ranking.publish.seal import let_in
from es_ranking.publish.settings import BlockSettings, PublishSettings
from es_ranking.publish.write import write_documents
from segments.errors import RankingError, Refused

log = logging.getLogger("es_ranking.publish")
_SHORT_SECONDS = 1.0


@dataclass(frozen=True)
class Followed:
    """What owners have done while a generation was made.

    Attributes:
        caught_up: documents written again because owners wrote them.
        deleted: documents taken away because owners did.
        rounds: how often they were kept out; all but the last time in vain.
        blocked_seconds: how long they were, the last time.
    """

    caught_up: int = 0
    deleted: int = 0
    rounds: int = 0
    blocked_seconds: float = 0.0


class _TooLong(Exception):
    """Owners have been kept out for as long as they may be."""


class Follower:
    """An index that follows another one, which serves and is written on, until it takes its place.

    Args:
        alias: what the source serves under.
        index: the one that follows, written by its private alias.
        since: shard → last write of the source that need not be followed.
        witness: index that has every document which the source had when following began, kept up from then on; None:
            the following one has.
        carrier: what becomes of owners' documents.
        settings: how documents are written.
        limits: how long owners may be kept out.
    """

    def __init__(
        self, engine: Engine, *, alias: str, source: str, index: str, since: Mapping[str, int],
        witness: str | None, carrier: Carrier, settings: PublishSettings, limits: BlockSettings,
    ) -> None:  # fmt: skip
        self.engine, self.alias, self.source, self.since = engine, alias, source, since
        self.carrier, self.settings, self.limits = carrier, settings, limits
        self.witness, self.beside = witness or index, [] if witness is None else [witness + WRITING]
        self.target = index + WRITING
        self.caught_up = self.deleted = 0

    @cached_property
    def parts(self) -> list[Query]:
        return parted(self.engine, self.witness)

    def come_near(self) -> None:
        """Follows until a pass is so short that owners could have waited for it."""
        for _ in range(self.limits.rounds):
            began = time.perf_counter()
            self._follow(None)
            if time.perf_counter() - began < min(_SHORT_SECONDS, self.limits.max_block_seconds / 2):
                return

    def switch(self, last: Callable[[], None], *, check: Callable[[], None]) -> Followed | None:
        """Keeps owners out, follows for the last time, and takes the source's place.

        The source stays closed: what was still on its way there is refused instead of lost. Going back opens it. Where
        something fails, who cleans up lets owners in, as soon as no switch can be under way any more.

        Args:
            last: the switch.
            check: what must hold before; owners wait for it, too.

        Returns:
            None: it took too long as often as it may; owners write on.
        """
        for round_ in range(1, self.limits.rounds + 1):
            self.come_near()
            began = time.perf_counter()
            if self._switched(last, check, began + self.limits.max_block_seconds):
                blocked = time.perf_counter() - began
                self._late()
                return Followed(self.caught_up, self.deleted, round_, round(blocked, 3))
            log.info("owners may write again; the switch is tried once more")
        return None

    def _switched(self, last: Callable[[], None], check: Callable[[], None], until: float) -> bool:
        try:
            self.engine.close_to_writes(self.source)
            self._follow(until)
            check()
            _in_time(until)
            last()
        except _TooLong:
            let_in(self.engine, self.alias, self.source)
            return False
        return True

    def _late(self) -> None:
        """Somebody else may have let owners in just before the switch."""
        self.target = self.alias
        try:
            self.engine.close_to_writes(self.source)
            self._follow(None)
        except RankingError as error:
            log.error("%s serves; whether owners wrote into %s at the last moment is not known: %s", self.alias,
                      self.source, error)  # fmt: skip

    def _follow(self, until: float | None) -> None:
        """Writes what was written since, takes away what was deleted.

        Raises:
            _TooLong: `until` is over.
            Refused: the generation would not take a document.
        """
        upto = self.engine.checkpoints(self.source)
        if upto == self.since:
            return
        self.engine.refresh(self.source)
        marks: list[tuple[str, dict[str, Any]]] = []
        report = write_documents(self.engine, self.target, self.carrier.carry(self._changed(until, marks)),
                                 settings=self.settings)  # fmt: skip
        if report.refused:
            first = report.ledger[0]
            raise Refused(f"the new index would not take {first.id}, which was written meanwhile: {first.reason}",
                          where=self.target, hint="name its fields in publish.properties")  # fmt: skip
        for target in self.beside:
            write_documents(self.engine, target, marks, settings=self.settings)
        targets = [self.target, *self.beside]
        self.engine.refresh(",".join(targets))
        gone = too_many(self.engine, self.witness, self.source, self.parts)
        _in_time(until)
        if gone:
            self.carrier.forget(gone)
            for target in targets:
                delete_documents(self.engine, target, gone, settings=self.settings)
            self.engine.refresh(",".join(targets))
        self.caught_up, self.deleted, self.since = self.caught_up + report.written, self.deleted + len(gone), upto
        log.info("%s documents written again, %s taken away", f"{report.written:,}", f"{len(gone):,}")

    def _changed(
        self, until: float | None, marks: list[tuple[str, dict[str, Any]]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for doc_id, document in written_since(self.engine, self.source, self.since):
            _in_time(until)
            marks.append((doc_id, {name: document[name] for name in ("item_id",) if name in document}))
            yield doc_id, document


def _in_time(until: float | None) -> None:
    if until is not None and time.perf_counter() > until:
        raise _TooLong
