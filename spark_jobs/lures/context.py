"""What an item is, whatever its clicks say: features by which the classifier learns where lures are to be expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
FOLDS = 5
STRENGTH = 10.0  # items that the share of all counts as, for a brand or a list

# Feature -> the reason given where it speaks against an item. A new feature is one line here and one in `features`.
WORDS: dict[str, str] = {
    "price": "its price is {value:.1f} times what is usual in its list",
    "age_days": "it is {value:.0f} days old",
    "unlike": "its picture or text is unlike those of its list (distance {value:.2f})",
    "brand": "{value:.0%} of its brand's other items are suspicious",
    "list": "{value:.0%} of its list's other items are suspicious",
}
# Only more of these may speak against an item. A share leaves out the item's own fold, so that it is a little lower
# where that fold has lures: without this the trees would learn just that.
RISING = ("unlike", "brand", "list")


@dataclass(frozen=True)
class Traits:
    """What is known of n items.

    Attributes:
        lists: (n,) numbers 0, 1, …
        brands: (n,) numbers 0, 1, …; -1 not known.
        price, age_days: (n,), NaN where not known.
        vectors: (n, width), rows of NaN where an item has none; None where there are no vectors.
    """

    lists: I64
    brands: I64
    price: F64
    age_days: F64
    vectors: NDArray[np.float32] | None = None


def features(traits: Traits, suspicion: F64) -> F64:
    """(n, features) in the order of `WORDS`, NaN where not known.

    Shares of brand and list are those of the items in other folds, so that an item's own suspicion is in none of its
    features.

    Args:
        traits: of the items.
        suspicion: (n,) probabilities by the label model.
    """
    columns = {
        "price": _beside_list(traits.price, traits.lists),
        "age_days": traits.age_days,
        "unlike": _unlike(traits),
        "brand": _others(traits.brands, suspicion),
        "list": _others(traits.lists, suspicion),
    }
    return np.stack([columns[name] for name in WORDS], axis=1)


def fold_of(n: int) -> I64:
    """(n,) the fold of each item; rows stand in the order of item ids, so that nothing else decides it."""
    return np.arange(n) % FOLDS


def _beside_list(price: F64, lists: I64) -> F64:
    usual = np.full(int(lists.max()) + 1 if lists.size else 0, np.nan)
    order = np.argsort(lists, kind="stable")
    for block in np.split(order, np.flatnonzero(np.diff(lists[order])) + 1):
        known = price[block][price[block] > 0]
        if known.size:
            usual[lists[block[0]]] = np.median(known)
    return np.where(price > 0, price / usual[lists], np.nan)


def _unlike(traits: Traits) -> F64:
    """1 - cosine between an item's vector and the mean of its list's."""
    n = traits.lists.size
    if traits.vectors is None or not n:
        return np.full(n, np.nan)
    length = np.linalg.norm(traits.vectors, axis=1, keepdims=True)
    unit = np.where(length > 0, traits.vectors / np.where(length > 0, length, 1.0), np.nan)
    known = np.isfinite(unit).all(axis=1)
    mean = np.zeros((int(traits.lists.max()) + 1, unit.shape[1]))
    np.add.at(mean, traits.lists[known], unit[known])
    size = np.linalg.norm(mean, axis=1, keepdims=True)
    mean = mean / np.where(size > 0, size, 1.0)
    return np.asarray(1.0 - np.einsum("nw,nw->n", unit, mean[traits.lists]), dtype=np.float64)


def _others(groups: I64, suspicion: F64) -> F64:
    fold, known = fold_of(groups.size), groups >= 0
    if not known.any():
        return np.full(groups.size, np.nan)
    count = int(groups.max()) + 1
    place = fold[known] * count + groups[known]
    shape = (FOLDS, count)
    total = np.bincount(place, suspicion[known], FOLDS * count).reshape(shape)
    items = np.bincount(place, minlength=FOLDS * count).reshape(shape)
    total, items = total.sum(axis=0) - total, items.sum(axis=0) - items
    share = (total + STRENGTH * suspicion.mean()) / (items + STRENGTH)
    return np.where(known, share[fold, np.maximum(groups, 0)], np.nan)
