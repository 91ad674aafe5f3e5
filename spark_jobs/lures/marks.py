"""Marks of titles that draw clicks by themselves. A new mark is one line here; a recipe may bring its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# name -> pattern, searched in the title whatever its case; (?-i:…) where capitals are the point.
MARKS: dict[str, str] = {
    "giveaway": r"\b(free|freebie|giveaway|give-away|gift|bonus|free sample|for nothing)\b|무료|증정|경품",
    "event": r"\b(event|festival|promo|promotion|coupon|lucky draw|raffle|limited time|today only)\b|이벤트|특가",
    "suggestive": r"\b(sexy|lingerie|nude|erotic|hot girls?|adults? only)\b|\b1[89]\+",
    "shouting": r"!!|(?-i:\b[A-Z]{3,}\b(?:\W+[A-Z]{3,}\b){3,})",
}


def title_marks(titles: Sequence[str | None], own: Mapping[str, str] | None = None) -> dict[str, NDArray[np.float64]]:
    """Mark → (n,) 1 where the title carries it, else 0.

    Args:
        titles: (n,) None where there is none.
        own: further marks; one of a name that is there takes its place, an empty pattern switches it off.
    """
    patterns = {name: re.compile(text, re.IGNORECASE) for name, text in {**MARKS, **(own or {})}.items() if text}
    return {
        name: np.fromiter((bool(title and pattern.search(title)) for title in titles), np.float64, len(titles))
        for name, pattern in patterns.items()
    }
