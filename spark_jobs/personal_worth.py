"""Is a list of one's own better than the segment's, and from how many clicks on?

The visits after the clock are shown as they would be served: the default variant's scores for the user's segment, and
the same list with its top sorted again by the taste that a number of clicks give, by the very code of query time. For
each amount of history people with at least so many clicks before the clock are judged, their histories cut to the last
few: to a number drawn evenly between the amount's bounds, by a hash of the user. So the amounts differ in how much is
known of people more than in who they are. Differences carry 95 % intervals, a paired bootstrap over people.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from es_ranking.schema import VECTOR
from es_ranking.tastes.contract import Taste
from es_ranking.tastes.vectors import pack, to_text
from es_ranking.twiddlers.contract import Facts, Hit
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.planner import Planner
from segments.catalogue import ALL, Catalogue
from segments.errors import Refused
from segments.hashing import hash_strings
from spark_jobs.arena import check_tables
from spark_jobs.evaluation.bootstrap import Interval, PairedBootstrap
from spark_jobs.evaluation.ranking import UserSums, gauc_sums, visit_sums
from spark_jobs.judging import CUT, rows_by_visit
from spark_jobs.models.run_folder import finite
from spark_jobs.outcome_arrays import read_outcomes
from spark_jobs.taste_rows import clicks_of, published_vectors, segment_tastes, tastes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spark_jobs.models.click_history import Clicks
    from spark_jobs.night import Night
    from spark_jobs.outcome_arrays import Outcomes

AMOUNTS: tuple[tuple[int, int | None], ...] = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))
DECIDES = f"ndcg@{CUT}"
FIGURES = (DECIDES, f"recall@{CUT}", "gauc")


def run(
    night: Night, settings: PersonalSettings, *, kind: str = "product", on_stage: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measures the run's item vectors.

    Args:
        night: the run, its tables up to `scores`, `taste_vectors` and those of the step `outcomes`.
        settings: the re-sort's depth, strength and weight; `least` is what is found out.

    Returns:
        `amounts`: one row an amount: `clicks`, `least`, `mean_clicks`, `people`, `visits`, for each of `ndcg@20`,
        `recall@20`, `gauc` a mapping of `segment`, `personal` and `difference` with `low` and `high`, and
        `milliseconds`, the median time of the re-sort; `threshold`: the least history from which on every amount's
        interval of NDCG lies above zero, None where there is none.

    Raises:
        Refused: a table of the run is missing.
    """
    on_stage("reading the visits after the clock")
    check_tables(night)
    ids, vectors = published_vectors(night, kind)
    clicks = clicks_of(night, ids, kind)
    outcomes = read_outcomes(night.warehouse, night.run, as_of=night.as_of, kind=kind)
    variant = night.recipe.default_variant
    grid, segments = outcomes.grid(night.warehouse, night.run, variant=variant, table="scores")
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    rows = rows_by_visit(outcomes, catalogue, variant=variant, segments=segments)
    texts = dict(zip(ids.to_pylist(), (to_text(pack(vector)) for vector in vectors), strict=True))
    shown = Shown.of(outcomes, grid, rows, texts, depth=settings.depth)
    served = dict(zip(outcomes.users, _first(rows, outcomes.visit_user, segments), strict=True))
    middles = segment_tastes(night, tastes_of(clicks, vectors))

    def own(user: str, items: NDArray[np.int64]) -> Taste:
        total = vectors[items].sum(axis=0, dtype=np.float32)
        return Taste(items.size, total).apart_from(middles.get(served.get(user, ALL)))

    return worth(shown, outcomes, clicks, own, settings, on_stage=on_stage) | {"run": night.run, "variant": variant}


@dataclass(frozen=True)
class Shown:
    """What the visits with clicks were shown, in the segment's order.

    Attributes:
        top: visit → the first hits of its list; visits of one list and segment share them.
        place: (clicks,) 1-based place of each click.
    """

    top: dict[int, list[Hit]]
    place: NDArray[np.int64]

    @classmethod
    def of(
        cls, outcomes: Outcomes, grid: NDArray[np.float64], rows: NDArray[np.int64], texts: Mapping[str, str], *,
        depth: int,
    ) -> Shown:  # fmt: skip
        """Lists by score, unranked last, ties by item id, as the engine sorts them."""
        visits = outcomes.visits
        top: dict[int, list[Hit]] = {}
        place = np.zeros(visits.click_visit.size, dtype=np.int64)
        for segment, items, _, clicks, _ in visits.groups(rows):
            if not clicks.size:
                continue
            scores = grid[segment, items]
            order = np.lexsort((items, -scores))
            stands = np.empty(order.size, dtype=np.int64)
            stands[order] = np.arange(1, order.size + 1)
            place[clicks] = stands[visits.click_at[clicks]]
            first = order[:depth]
            found = zip(outcomes.items[items[first]].tolist(), scores[first].tolist(), strict=True)
            hits = [_hit(item, score, texts.get(item)) for item, score in found]
            top |= dict.fromkeys(visits.click_visit[clicks].tolist(), hits)
        return cls(top, place)

    def sorted_by(self, outcomes: Outcomes, visit: int, planner: Planner) -> tuple[NDArray[np.int64], float]:
        """Places of the visit's clicks after a re-sort, and the milliseconds it took."""
        hits = self.top[visit]
        begun = time.perf_counter()
        order = planner.plan(hits, len(hits), ended=True).order
        spent = (time.perf_counter() - begun) * 1e3
        stands = {hit.item_id: number for number, hit in enumerate(hits)}
        after = np.empty(len(hits), dtype=np.int64)
        after[[stands[entry.hit.item_id] for entry in order]] = np.arange(1, len(hits) + 1)
        before = self.place[_clicks_of(outcomes, visit)]
        inside = before <= len(hits)
        return np.where(inside, after[np.minimum(before, len(hits)) - 1], before), spent


def worth(
    shown: Shown, outcomes: Outcomes, clicks: Clicks, taste: Callable[[str, NDArray[np.int64]], Taste],
    settings: PersonalSettings, *, on_stage: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """The same of what has been read; needs no Spark.

    Args:
        taste: of a user who has clicked these items, as the store would give it.

    Raises:
        Refused: nobody to judge by.
    """
    if len(outcomes.users) < 2 or not shown.top:
        raise Refused("no clicks after the clock, or fewer than two users: nothing to judge")
    bootstrap = PairedBootstrap(len(outcomes.users))
    amounts: list[dict[str, Any]] = []
    for low, high in AMOUNTS:
        label = "0" if high == 0 else f"{low}+" if high is None else f"{low}-{high}"
        on_stage(f"{label} clicks")
        tastes = _tastes(clicks, taste, low, high)
        people = {n for n, user in enumerate(outcomes.users) if low == 0 or user in tastes}
        place, spent = shown.place.copy(), []
        for visit in shown.top:
            mine = tastes.get(outcomes.users[outcomes.visit_user[visit]])
            if mine is not None:
                planner = Planner([settings.model_copy(update={"least": 1}).build(Facts(taste=mine))])
                place[_clicks_of(outcomes, visit)], ms = shown.sorted_by(outcomes, visit, planner)
                spent.append(ms)
        judged = np.isin(outcomes.visit_user[outcomes.visits.click_visit], sorted(people))
        before, after = _sums(outcomes, shown.place, judged), _sums(outcomes, place, judged)
        counts = [tastes[user].count for user in outcomes.users if user in tastes]
        amounts.append(
            {
                "clicks": label,
                "least": low,
                "mean_clicks": float(np.mean(counts)) if counts else 0.0,
                "people": len(set(outcomes.visit_user[outcomes.visits.click_visit[judged]].tolist())),
                "visits": int(np.unique(outcomes.visits.click_visit[judged]).size),
                **{name: _compared(bootstrap, before[name], after[name]) for name in FIGURES},
                "milliseconds": float(np.median(spent)) if spent else 0.0,
            }
        )
    threshold = None
    for amount in reversed(amounts):
        if amount["visits"] and not amount[DECIDES]["low"] > 0.0:
            break
        threshold = amount["least"] if amount["visits"] else threshold
    return cast("dict[str, Any]", finite({"cut": CUT, "threshold": threshold, "amounts": amounts}))


def _tastes(
    clicks: Clicks, taste: Callable[[str, NDArray[np.int64]], Taste], low: int, high: int | None
) -> dict[str, Taste]:
    """User → taste of the last few clicks; those with fewer than `low` left out."""
    found: dict[str, Taste] = {}
    start = clicks.start
    uniform = (hash_strings(clicks.users) >> np.uint64(11)).astype(np.float64) / 2.0**53
    for n, user in enumerate(clicks.users):
        items = clicks.item[start[n] : start[n + 1]]
        if high == 0 or items.size < low:
            continue
        most = items.size if high is None else min(items.size, high)
        kept = most if high is None else low + int(uniform[n] * (most - low + 1))
        found[user] = taste(user, items[items.size - kept :])
    return found


def _first(rows: NDArray[np.int64], user: NDArray[np.int64], segments: list[str]) -> list[str]:
    """The segment of each user: that of his first visit, for it is the same in all of them."""
    _, first = np.unique(user, return_index=True)
    return [segments[row] for row in rows[first].tolist()]


def _sums(outcomes: Outcomes, place: NDArray[np.int64], judged: NDArray[np.bool_]) -> dict[str, UserSums]:
    visits, users = outcomes.visits, len(outcomes.users)
    place, visit = place[judged], visits.click_visit[judged]
    order = np.lexsort((place, visit))
    first = np.searchsorted(visit[order], visit[order])
    clicked_above = np.empty(order.size, dtype=np.int64)
    clicked_above[order] = np.arange(order.size) - first
    others = visits.size[visit] - np.bincount(visit, minlength=visits.size.size)[visit]
    with np.errstate(invalid="ignore", divide="ignore"):
        beaten = np.where(others > 0, 1.0 - (place - 1 - clicked_above) / others, np.nan)
    sums = visit_sums(place, visit, outcomes.visit_user, k=CUT, users=users)
    return {**sums, "gauc": gauc_sums(beaten, outcomes.visit_user[visit], users)}


def _compared(bootstrap: PairedBootstrap, before: UserSums, after: UserSums) -> dict[str, float]:
    than = (before.value, bootstrap.ratios(before))
    gap: Interval = bootstrap.difference(after.value, bootstrap.ratios(after), than=than)
    return {"segment": before.value, "personal": after.value, "difference": gap.value, "low": gap.low, "high": gap.high}


def _clicks_of(outcomes: Outcomes, visit: int) -> slice:
    low, high = np.searchsorted(outcomes.visits.click_visit, [visit, visit + 1])
    return slice(int(low), int(high))


def _hit(item: str, score: float, text: str | None) -> Hit:
    return Hit(item, score if np.isfinite(score) else None, {} if text is None else {VECTOR: (text,)})
