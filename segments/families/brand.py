"""Brand segments: users who choose the same brands. The clusters are fitted by a job; here they get names and are read.

A cluster keeps its number from one snapshot and one night to the next, so that `b_07` stays `b_07` in the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from segments.catalogue import ALL, Cut, Segment
from segments.config import Settings
from segments.naming import checked


class BrandSettings(Settings):
    """How users are grouped by what they choose: a user's choices as a document, TF-IDF, LDA, KMeans."""

    kind: Literal["brand"] = "brand"
    prefix: str = Field(default="b", pattern="^[a-z][a-z0-9]*$", description="first part of the segment ids")
    documents: str = Field(
        default="brands",
        pattern=r"^(brands|products|categories|manufacturers|category\.\d+|attributes\..+)$",
        description="the words of a user's document: `brands`, `products`, `categories` (each item's deepest), "
        "`manufacturers` (the attribute, else the brand), `category.N` (a level of the path) or `attributes.KEY`",
    )
    actions: tuple[str, ...] = Field(
        default=("purchase",), min_length=1, description="event kinds that count as choosing: purchase, click, …"
    )
    half_life_days: float | None = Field(
        default=None, ge=1, description="a choice counts half as much when it is so old; without it all count alike"
    )
    quiet_days: int | None = Field(
        default=180, ge=1, description="users who chose nothing for so long have no segment of this family any more"
    )
    groups: int = Field(default=8, ge=2, description="groups aimed at; fewer where users are few")
    topics: int = Field(default=12, ge=2, description="topics of the LDA")
    min_users: int = Field(default=50, ge=2, description="a smaller group is merged into the nearest")
    max_share: float = Field(default=0.3, gt=0, le=1, description="a larger group is split where both halves can stand")
    min_brands: int = Field(default=3, ge=1, description="users with fewer different words have no segment")
    vocabulary: int = Field(default=2000, ge=2, description="words kept, by the number of users who choose them")
    passes: int = Field(default=10, ge=1, description="passes of the online LDA over the users")
    spark_from: int = Field(
        default=200_000, ge=0, description="Spark ML fits from so many users on, scikit-learn below"
    )
    fit_users: int = Field(default=50_000, ge=100, description="of more users than this a sample teaches the topics")
    seed: int = 20170102


def brand_id(number: int, *, prefix: str = "b") -> str:
    """The segment id of a cluster's number.

    >>> brand_id(7)
    'b_07'
    """
    return checked(f"{prefix}_{number:02d}")


def brand_number(segment: str, *, prefix: str = "b") -> int | None:
    """The number a segment id was made from; None for an id of another kind.

    >>> brand_number("b_07"), brand_number("m_07"), brand_number("b_07__g_gold")
    (7, None, None)
    """
    number = segment.removeprefix(f"{prefix}_")
    return int(number) if number.isdecimal() and segment == brand_id(int(number), prefix=prefix) else None


def cut_by_brand(
    clusters: Mapping[str, int], labels: Mapping[int, str], settings: BrandSettings, *, family: str = "brand"
) -> Cut:
    """Names fitted clusters.

    Args:
        clusters: cluster number by user id; users without one have no segment.
        labels: what distinguishes a cluster, in words (its most distinctive brands).
        settings: the prefix of the ids.
        family: the family's name, under which models know the segment.
    """
    sizes = Counter(clusters.values())
    ids = {number: brand_id(number, prefix=settings.prefix) for number in sizes}
    segments = tuple(
        Segment(
            id=ids[number],
            family=family,
            values={family: ids[number]},
            users=sizes[number],
            label=labels.get(number, ids[number]),
            parent=ALL,
        )
        for number in sorted(sizes)
    )
    return Cut(segments=segments, segment_of={user: ids[number] for user, number in clusters.items()})
