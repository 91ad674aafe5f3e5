"""How a brand family should be cut: which documents, how many topics and groups, by what users chose afterwards.

Everything is learnt from before a date some weeks before the clock, and judged by the weeks between. Of the ways whose
lists are not worse than the best one's beyond chance, the one with the fewest groups, then topics, is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from segments.config import Settings
from segments.errors import Refused, UsageError
from segments.families.brand import BrandSettings
from segments.whole import write_whole
from spark_jobs.evaluation.bootstrap import PairedBootstrap
from spark_jobs.evaluation.ranking import UserSums
from spark_jobs.features.balanced_groups import Numbers, groups_wanted, plain_groups
from spark_jobs.features.brand_clusters import Tastes, cut_groups, fit_tastes
from spark_jobs.features.cluster_plot import Panel, draw_side_by_side
from spark_jobs.features.group_worth import Lists, lift, likelihood_gain, lists_of, silhouette
from spark_jobs.features.taste_documents import documents_at, summed_choices
from spark_jobs.history import clock

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column

    from spark_jobs.night import Night


TwoOrMore = Annotated[int, Field(ge=2)]


class Candidates(Settings):
    """What is tried, and how it is judged."""

    documents: tuple[str, ...] = Field(default=(), description="kinds of documents; the family's own if none is named")
    topics: tuple[TwoOrMore, ...] = Field(default=(6, 12, 20), min_length=1)
    groups: tuple[TwoOrMore, ...] = Field(default=(4, 8, 12), min_length=1)
    held_out_days: int = Field(default=28, ge=1, description="days before the clock that judge; the days before teach")
    users: int = Field(default=20_000, ge=100, description="of more users than this a sample is looked at")
    top: int = Field(default=20, ge=1, description="places of a list that count")
    seed: int = 7


@dataclass(frozen=True)
class Tried:
    """One way of cutting: what is told of it, and what it is compared by."""

    row: dict[str, Any]
    sums: UserSums
    panel: Panel


def choose_segments(night: Night, name: str, candidates: Candidates) -> dict[str, Any]:
    """Tries every combination, and keeps the choice and its evidence in the run's `segments` folder.

    Returns:
        `candidates`, a row each, with what refused it; `chosen`, one of these rows; `recipe`, the family's settings
        with the choice; `helps`, whether its lists are better than everybody's beyond chance; `evidence` and `picture`,
        paths of what was kept.

    Raises:
        UsageError: no such brand family.
        Refused: nothing was chosen before or after the date, or every candidate is refused.
    """
    family = night.recipe.families.get(name)
    if not isinstance(family, BrandSettings):
        known = [one for one, settings in night.recipe.families.items() if isinstance(settings, BrandSettings)]
        raise UsageError.unknown("brand family", name, known, where=f"recipe {night.recipe.name}")
    kinds = [
        BrandSettings.of({**family.model_dump(), "documents": documents}, where="--documents")
        for documents in candidates.documents or (family.documents,)
    ]
    lists = _lists(night, family, candidates)
    judged = lists.everyones()
    bootstrap = PairedBootstrap(len(lists.users), draws=500, seed=candidates.seed)
    tried: list[Tried] = []
    for kind in kinds:
        before, after = (_pairs(night, kind, candidates, held_out=part) for part in (False, True))
        for topics in candidates.topics:
            settings = kind.model_copy(update={"topics": topics})
            tastes = fit_tastes(*_rows(before), settings)
            if tastes is not None:
                gain = likelihood_gain(tastes, _later(tastes, after))
                tried += _cuts(tastes, gain, settings, lists, judged["ndcg"], bootstrap, candidates)
    chosen = _simplest_of_the_best(tried, bootstrap)
    if chosen is None:
        reasons = sorted({str(one.row["refused"]) for one in tried}) or ["too few users chose enough"]
        raise Refused(f"no way of cutting {name} stands: {'; '.join(reasons)}", where=night.run,
                      hint="other --groups, or a smaller min_users or larger max_share in the recipe")  # fmt: skip
    picked = {key: chosen.row[key] for key in ("documents", "topics", "groups")}
    folder = night.folder("segments")
    evidence: dict[str, Any] = {
        "run": night.run,
        "family": name,
        "users": len(lists.users),
        "held_out_days": candidates.held_out_days,
        "everyone": {metric: _figure(sums.value) for metric, sums in judged.items()},
        "candidates": [one.row for one in tried],
        "chosen": chosen.row,
        "helps": (chosen.row["low"] or 0.0) > 0.0,
        "recipe": {**family.model_dump(mode="json", exclude_defaults=True), "kind": family.kind, **picked},
        "picture": str(draw_side_by_side(_best_of_each(tried), folder / f"{name}.choice.png", prefix=family.prefix)),
    }
    path = folder / f"{name}.choice.json"
    write_whole(path, json.dumps(evidence, indent=1))
    return {**evidence, "evidence": str(path)}


def _cuts(
    tastes: Tastes,
    gain: float,
    settings: BrandSettings,
    lists: Lists,
    everyones: UserSums,
    bootstrap: PairedBootstrap,
    candidates: Candidates,
) -> Iterator[Tried]:
    """One way a number of groups."""
    for groups in candidates.groups:
        asked = settings.model_copy(update={"groups": groups})
        plain = np.bincount(plain_groups(tastes.mixtures, groups_wanted(len(tastes.users), asked), asked.seed))
        numbers = cut_groups(tastes.users, tastes.mixtures, asked)
        sizes = np.bincount(numbers)
        own = lists.of_groups(_groups_of(lists.users, tastes.users, numbers))
        gained = lift(own["ndcg"], everyones, bootstrap)
        apart = silhouette(tastes.mixtures, numbers, seed=candidates.seed)
        row = {
            "documents": asked.documents, "topics": asked.topics, "groups": groups,
            "made": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max()),
            "kmeans_smallest": int(plain.min()), "kmeans_largest": int(plain.max()),
            "likelihood": _figure(gain), "silhouette": _figure(apart),
            "ndcg": _figure(own["ndcg"].value), "recall": _figure(own["recall"].value),
            "lift": _figure(gained.value), "low": _figure(gained.low), "high": _figure(gained.high),
            "refused": _degenerate(sizes, asked),
        }  # fmt: skip
        note = f"{len(sizes)} groups, {asked.topics} topics, silhouette {apart:.2f}, NDCG {gained.value:+.4f}"
        yield Tried(row, own["ndcg"], Panel(f"Users by {asked.documents}", tastes.mixtures, numbers, note))


def _degenerate(sizes: Numbers, settings: BrandSettings) -> str | None:
    """Why groups of these sizes must not be served; None if they may."""
    if len(sizes) < 2:
        return "one group"
    share = sizes.max() / sizes.sum()
    # Halves of an odd number differ by one user.
    if sizes.max() > settings.max_share * sizes.sum() + 1:
        return f"a group of {share:.0%} of the users, more than {settings.max_share:.0%}"
    return None


def _simplest_of_the_best(tried: list[Tried], bootstrap: PairedBootstrap) -> Tried | None:
    standing = [one for one in tried if one.row["refused"] is None]
    if not standing:
        return None
    best = max(standing, key=lambda one: one.sums.value)
    good = [one for one in standing if one is best or not lift(best.sums, one.sums, bootstrap).low > 0.0]
    return min(good, key=lambda one: (one.row["made"], one.row["topics"], -one.sums.value))


def _best_of_each(tried: list[Tried]) -> list[Panel]:
    """The best cut of each kind of documents, refused ones only where there is no other."""
    found: dict[str, Tried] = {}
    for one in sorted(tried, key=lambda one: (one.row["refused"] is None, one.sums.value)):
        found[one.row["documents"]] = one
    return [found[kind].panel for kind in dict.fromkeys(one.row["documents"] for one in tried)]


def _lists(night: Night, family: BrandSettings, candidates: Candidates) -> Lists:
    products = family.model_copy(update={"documents": "products", "half_life_days": None})
    before, after = (_pairs(night, products, candidates, held_out=part) for part in (False, True))
    for when, rows in (("before", before), ("after", after)):
        if rows.empty:
            raise Refused(f"nobody chose anything {when} the last {candidates.held_out_days} days", where=night.run,
                          hint=f"events of {', '.join(family.actions)} are needed there; --held-out-days")  # fmt: skip
    return lists_of(_rows(before)[:2], _rows(after)[:2], top=candidates.top)


def _pairs(night: Night, family: BrandSettings, candidates: Candidates, *, held_out: bool) -> pd.DataFrame:
    """(user_id, word, weight): the documents at the date, or what was chosen from then on."""
    tables = night.warehouse
    users, date = tables.read("users", night.run), night.as_of - timedelta(days=candidates.held_out_days)
    parts = -(-users.count() // candidates.users)
    events = tables.read("events", night.run).where(_one_in(parts))
    if held_out:
        events, date = events.where(F.col("ts") >= clock(date)), night.as_of
        family = family.model_copy(update={"half_life_days": None})
    sums = summed_choices(events, tables.read("items", night.run), [date], family)
    return documents_at(sums, 0, [date], family, quiet=not held_out).toPandas()


def _one_in(parts: int) -> Column:
    return F.pmod(F.xxhash64("user_id"), F.lit(max(1, parts))) == 0


def _rows(pairs: pd.DataFrame) -> tuple[list[str], list[str], Any]:
    return pairs["user_id"].tolist(), pairs["word"].tolist(), pairs["weight"].to_numpy(dtype=np.float64)


def _later(tastes: Tastes, after: pd.DataFrame) -> Any:
    """(users, words) sparse: what the users of `tastes` chose afterwards, of its words."""
    known = after[after["user_id"].isin(tastes.users) & after["word"].isin(tastes.words)]
    at = (np.searchsorted(tastes.users, known["user_id"].to_numpy(dtype=str)),
          np.searchsorted(tastes.words, known["word"].to_numpy(dtype=str)))  # fmt: skip
    return csr_matrix((known["weight"].to_numpy(dtype=np.float64), at), shape=(len(tastes.users), len(tastes.words)))


def _figure(value: float) -> float | None:
    """For people and for JSON, which knows no not-a-number."""
    return None if np.isnan(value) else round(value, 5)


def _groups_of(people: list[str], users: list[str], numbers: Numbers) -> Numbers:
    group_of = dict(zip(users, numbers.tolist(), strict=True))
    return np.asarray([group_of.get(user, -1) for user in people], dtype=np.int64)
