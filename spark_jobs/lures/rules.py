"""The weak rules: what should follow a click, or should not be, each told by two counts. A new one is one line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rule:
    """One sign of a lure: `hits` of `trials`, against the peers of its list.

    Attributes:
        name: unique.
        words: the reason given where it speaks, with `{rate}` and `{peers}` to fill in.
        hits, trials: names of the counts.
        suspicious: whether a low or a high rate is.
        lead: what a lure is defined by. Where no lead rule has anything to go by, the others accuse nobody.
    """

    name: str
    words: str
    hits: str
    trials: str
    suspicious: Literal["low", "high"]
    lead: bool = False


FOLLOWED = Rule(
    "followed", "only {rate} of its clicks are followed by interest, {peers} among its peers",
    "followed", "judged", "low", lead=True,
)  # fmt: skip
CLICKED = Rule(
    "clicked", "{rate} of those who see it click it, {peers} among its peers", "clicks", "impressions", "high"
)
OUTSIDE = Rule(
    "outside", "{rate} of those it draws care for nothing else of its list, {peers} among its peers",
    "outside", "drawn", "high",
)  # fmt: skip
FULL_PRICE = Rule(
    "full_price", "only {rate} of its sales are at full price, {peers} among its peers", "full_price", "sold", "low"
)
BOUGHT_AGAIN = Rule(
    "bought_again", "only {rate} of those who bought it bought it again, {peers} among its peers",
    "followed", "judged", "low", lead=True,
)  # fmt: skip
PLAIN = Rule(
    "plain", "only {rate} of its sales are without discount or promotion, {peers} among its peers",
    "plain", "sold", "low", lead=True,
)  # fmt: skip

# What follows a click → the rules that vote. Signs that say the same thing twice do not stand side by side.
RULES: dict[str, tuple[Rule, ...]] = {
    "engagement": (FOLLOWED, CLICKED, OUTSIDE, FULL_PRICE),
    "buying_again": (BOUGHT_AGAIN, PLAIN, OUTSIDE),
    "off": (),
}


def mark_rule(name: str) -> Rule:
    """The rule of a title's mark: one trial an item."""
    words = f"its title is marked: {name}".replace("{", "{{").replace("}", "}}")
    return Rule(f"title: {name}", words, f"mark {name}", "titles", "high")
