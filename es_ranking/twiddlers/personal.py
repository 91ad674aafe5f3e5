"""Personal re-sort: who has clicked enough gets the top of the segment's list in an order of his own.

With an item's vector x and the user's u = Σ (x − μ) / (n + strength) over his n clicks, where μ is the mean over all
clicks of his segment (es_ranking/tastes),

    score' = score · exp(weight · <u, x>)

orders the first `depth` hits of the base order; hits further down, hits without a rank and those with a score that is
not positive stay where they are. Vectors are whitened (spark_jobs/models/taste_vectors.py), so that the exponent is the
log of how much likelier this user is to click the item than his segment is, up to a constant; an item without a vector
keeps its score. The places then take the scores that stood there before: what later stages do to a score means the
same to everybody.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from es_ranking.schema import VECTOR
from es_ranking.tastes.contract import Taste
from es_ranking.tastes.vectors import from_texts
from es_ranking.twiddlers.contract import Configured, Entry, Facts
from es_ranking.twiddlers.resort import Resort


class PersonalSettings(Configured):
    """Personal re-sort of a surface."""

    kind: Literal["personal"] = "personal"
    least: int = Field(default=5, ge=1, description="clicks from which a user is served by his own taste")
    depth: int = Field(default=100, ge=2, le=2000, description="hits of the base order that are sorted again")
    strength: float = Field(default=30.0, ge=0.0, description="clicks' worth of the middle that a taste begins with")
    weight: float = Field(default=1.0, gt=0.0, description="of the taste against the rank")

    def graduated(self, taste: Taste | None) -> Taste | None:
        """The taste of a user who has clicked enough, else None: he is served in the segment's order."""
        return taste if taste is not None and taste.count >= self.least else None

    def attributes(self, facts: Facts) -> tuple[str, ...]:
        return () if facts.taste is None else (VECTOR,)

    def build(self, facts: Facts) -> Personal:
        """The twiddler for one user."""
        return Personal(self, facts.taste)


class Personal(Resort):
    """Sorts the top of a list by one user's taste."""

    stage: ClassVar[str] = "personal"

    def __init__(self, settings: PersonalSettings, taste: Taste | None) -> None:
        super().__init__(settings.depth)
        self.settings = settings
        self.taste = settings.graduated(taste)

    @property
    def idle(self) -> bool:
        return self.taste is None

    def movable(self, score: float) -> bool:
        # the formula is a product
        return score > 0.0

    def again(self, moving: list[Entry]) -> list[Entry]:
        taste = self.taste
        assert taste is not None
        scores = [entry.score for entry in moving]
        texts = [next(iter(entry.hit.attributes.get(VECTOR, ())), None) for entry in moving]
        vectors = from_texts([text if isinstance(text, str) else None for text in texts], taste.total.size)
        liking = self.settings.weight * (vectors @ taste.direction(self.settings.strength)).astype(np.float64)
        order = np.argsort(-(np.log(np.array(scores, dtype=np.float64)) + liking), kind="stable")
        found = [moving[place] for place in order.tolist()]
        for entry, liked in zip(found, liking[order].tolist(), strict=True):
            if liked:
                entry.reasons[self.stage] = f"taste of {taste.count} clicks: score x {math.exp(min(liked, 99.0)):.3g}"
        return found
