"""What was shown and what followed, as arrays: what the night's steps count in Spark is counted here with bincount."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.lure_counts import ENGAGEMENT
from spark_jobs.lures.settings import LureSettings
from spark_jobs.past_scores import SALES_DAYS
from spark_jobs.sources.world_day import US_A_DAY, Reactions, Requests, Shown
from spark_jobs.sources.world_truth import Floats, Ints

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Places that were shown, one row each, in any order.

    Attributes:
        day: counted from the world's first.
        user, item, position: numbers; position from 1.
        request: the request's key.
        at: when the request began, microseconds since 1970.
        clicked, bought: whether that followed.
        dwell: milliseconds of the visit after the click, 0 without one.
        engaged: whether something else than a dwell followed the click.
    """

    day: Ints
    user: Ints
    item: Ints
    position: Ints
    request: Ints
    at: Ints
    clicked: Mask
    bought: Mask
    dwell: Ints
    engaged: Mask

    @classmethod
    def of(cls, requests: Requests, shown: Shown, reactions: Reactions) -> Places:
        """The places of one day's requests."""
        n = len(shown.row)
        dwell = np.zeros(n, dtype=np.int64)
        if reactions.dwell is not None:
            dwell[reactions.clicked] = reactions.dwell
        interest = [reactions.acts[act] for act in ENGAGEMENT if act in reactions.acts]
        return cls(
            day=np.full(n, requests.day, dtype=np.int64),
            user=requests.user[shown.row],
            item=shown.item,
            position=shown.position,
            request=requests.key[shown.row],
            at=requests.epoch_us[shown.row],
            clicked=_at(reactions.clicked, n),
            bought=_at(reactions.acts.get("purchase", _NONE), n),
            dwell=dwell,
            engaged=_at(np.concatenate([_NONE, *interest]), n),
        )

    def __len__(self) -> int:
        return len(self.day)

    def where(self, chosen: Mask | Ints) -> Places:
        """The chosen rows."""
        return Places(**{name: column[chosen] for name, column in vars(self).items()})


def joined(parts: list[Places]) -> Places:
    """Several, one after the other."""
    return Places(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def sold(log: Places, *, day: int, items: int) -> Floats:
    """(items,) purchases of the days that the old logic looks back."""
    rows = log.bought & (log.day >= day - SALES_DAYS)
    return np.bincount(log.item[rows], minlength=items).astype(np.float64)


def totals(log: Places, *, items: int) -> tuple[Floats, Floats]:
    """(items,) impressions and clicks of all days."""
    return _counts(log.item, items), _counts(log.item[log.clicked], items)


def evidence(log: Places, segment: Ints, explore: ExploreSettings, *, day: int, items: int) -> tuple[Floats, Floats]:
    """(segments, items) impressions and clicks of the last days, by the segment a user is in tonight.

    An impression counts as far as its place is looked at, where the recipe says how far that is.

    Args:
        log: places.
        segment: of each user, -1: none.
        explore: `evidence_days` and `position_decay`.
        day: tonight.
        items: number of items.
    """
    recent = log.where((log.day >= day - explore.evidence_days) & (segment[log.user] >= 0))
    count = int(segment.max(initial=-1)) + 1
    cell = segment[recent.user] * items + recent.item
    looked_at = recent.position.astype(np.float64) ** -explore.position_decay
    seen: Floats = np.asarray(np.bincount(cell, weights=looked_at, minlength=count * items), dtype=np.float64)
    clicks: Floats = np.bincount(cell[recent.clicked], minlength=count * items).astype(np.float64)
    return seen.reshape(count, items), clicks.reshape(count, items)


def exact_evidence(log: Places, explore: ExploreSettings, *, day: int, items: int) -> tuple[Floats, Floats]:
    """(items,) impressions and clicks of the last days, of everybody: exact totals know no places."""
    recent = log.where(log.day >= day - explore.evidence_days)
    return totals(recent, items=items)


def lure_columns(log: Places, rule: LureSettings, category: Ints) -> dict[str, Floats]:
    """What `lure_counts` counts in Spark, by the same names, (items,) each; nothing is sold at a discount here.

    Args:
        log: places.
        rule: what follows a click, and within how many days.
        category: the list of each item.
    """
    items = len(category)
    impressions, clicks = totals(log, items=items)
    visits = log.where(log.clicked)
    frame = pd.DataFrame({"user": visits.user, "item": visits.item, "at": visits.at})
    frame["met"] = np.where(visits.engaged | (visits.dwell >= rule.dwell_ms), visits.at, np.nan)
    frame = frame.sort_values(["user", "item", "at"], kind="stable")
    pairs = frame.groupby(["user", "item"])
    limit = frame["at"] + rule.follow_days * US_A_DAY
    followed = (pairs["met"].bfill() <= limit).to_numpy()
    item = frame["item"].to_numpy()
    drawn = pairs.size().index.to_frame(index=False)
    drawn["list"] = category[drawn["item"]]
    everything = drawn.groupby("user")["item"].transform("size").to_numpy()
    of_list = drawn.groupby(["user", "list"])["item"].transform("size").to_numpy()
    several = drawn["item"].to_numpy()[everything > 1]
    outside = drawn["item"].to_numpy()[(everything > 1) & (of_list == 1)]
    none = np.zeros(items)
    return {
        "impressions": impressions, "clicks": clicks, "judged": _counts(item, items),
        "followed": _counts(item[followed], items), "sold": none, "plain": none, "full_price": none,
        "drawn": _counts(several, items), "outside": _counts(outside, items),
    }  # fmt: skip


_NONE = np.zeros(0, dtype=np.int64)


def _at(rows: Ints, n: int) -> Mask:
    found = np.zeros(n, dtype=bool)
    found[rows] = True
    return found


def _counts(item: Ints, items: int) -> Floats:
    return np.bincount(item, minlength=items).astype(np.float64)
