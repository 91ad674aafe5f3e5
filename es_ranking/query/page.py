"""What a recommended search gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from es_ranking.twiddlers.contract import Move


@dataclass(frozen=True)
class PageHit:
    """One hit of a page.

    Args:
        item: item id.
        place: place in the whole list, from 1.
        hit: the hit as the engine gives it.
        places: place after each stage, from 1.
        moves: which stage moved it, and why.
        team: variant whose pick it was, where two are interleaved; None: nobody's.
    """

    item: str
    place: int
    hit: dict[str, Any]
    places: dict[str, int] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    team: str | None = None

    @property
    def source(self) -> dict[str, Any]:
        """The document, as far as it was asked for."""
        return dict(self.hit.get("_source") or {})


@dataclass(frozen=True)
class Page:
    """A page of a list sorted by recommended.

    Args:
        hits: in order.
        response: the engine's response with the hits of this page: what a caller of `_search` expects.
        index, generation, segment, variant: what it was sorted by.
        as_of: recent actions before this time were considered.
        certificate: `exact`, or `relaxed(n)`: n gaps were given up between the first place and the end of this page.
        way: how it was run: `field`, `at_once`, `plan_then_fetch`, `script`.
        flags: what went otherwise: `actions_unavailable`, `tastes_unavailable`, `restarted`, `users_unavailable`,
            `exposures_lost`, `policy_broken`, `policy_stale`, `policy_unavailable`, the same of `experiments_…`,
            `variant_missing`, `not_interleaved`.
        cursor: for the next page; None at the end of the list.
        requests: how many requests went to the engine for planning and fetching.
        policy: version of the policy; 0: none.
        campaigns: those of the policy that held, the winning one first.
        overruled: what campaigns wanted and did not get, and why; pins that do not match the query too.
        experiment: that chose the variant; None: none did.
    """

    hits: tuple[PageHit, ...]
    response: dict[str, Any]
    index: str
    generation: str
    segment: str
    variant: str
    as_of: datetime
    certificate: str
    way: str
    flags: tuple[str, ...]
    cursor: str | None
    requests: int
    policy: int = 0
    campaigns: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()
    experiment: str | None = None

    @property
    def items(self) -> list[str]:
        """Item ids, in order."""
        return [hit.item for hit in self.hits]

    @property
    def total(self) -> int | None:
        """Hits of the query, as far as the engine counted them."""
        total = self.response.get("hits", {}).get("total")
        return int(total["value"]) if isinstance(total, dict) else total

    def to_dict(self) -> dict[str, Any]:
        """As the command line prints it; keys are stable."""
        return {
            "generation": self.generation,
            "index": self.index,
            "segment": self.segment,
            "variant": self.variant,
            "as_of": self.as_of.isoformat(),
            "certificate": self.certificate,
            "way": self.way,
            "flags": list(self.flags),
            "policy": self.policy,
            "campaigns": list(self.campaigns),
            "overruled": list(self.overruled),
            "experiment": self.experiment,
            "total": self.total,
            "cursor": self.cursor,
            "hits": [
                {"place": hit.place, "item": hit.item, "places": hit.places, "source": hit.source}
                | ({"team": hit.team} if hit.team else {})
                | ({"moves": [move.to_dict() for move in hit.moves]} if hit.moves else {})
                for hit in self.hits
            ],
        }
