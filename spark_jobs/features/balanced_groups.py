"""Users as points, cut into groups that are neither tiny nor nearly everybody.

KMeans alone may end in one group of half the users beside groups of one person. So a group that is too small joins its
nearest neighbour, and the largest is halved where both halves can stand.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from segments.families.brand import BrandSettings

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


def balanced_groups(mixtures: Floats, settings: BrandSettings, *, start: Floats | None = None) -> Numbers:
    """KMeans, then small groups joined and large ones halved until neither helps; at most `settings.groups`.

    Args:
        mixtures: one point a user.
        settings: groups aimed at, least users of a group, largest share of a group, seed.
        start: centres to start from, such as those of the snapshot before, so that groups stay where they were.

    Returns:
        A group number of each point, 0, 1, … without holes.
    """
    users = len(mixtures)
    wanted = groups_wanted(users, settings)
    numbers = plain_groups(mixtures, wanted, settings.seed, start=start)
    for _ in range(4 * settings.groups):
        numbers = _joined(mixtures, numbers, settings.min_users)
        sizes = np.bincount(numbers)
        largest = int(sizes.argmax())
        short_of_groups = len(sizes) < wanted
        if not short_of_groups and sizes[largest] <= settings.max_share * users:
            break
        inside = np.flatnonzero(numbers == largest)
        half = _halved(mixtures[inside], settings)
        if half is None:
            break
        # One more would be too many: the two nearest of the other groups become one first.
        cut = (numbers if short_of_groups else _two_nearest_joined(mixtures, numbers, spare=largest)).copy()
        cut[inside[half]] = cut.max() + 1
        made = np.bincount(cut)
        if not short_of_groups and (len(made) > len(sizes) or made.max() >= sizes.max()):
            break  # no better than it was
        numbers = cut
    return _numbered(_joined(mixtures, numbers, settings.min_users))


def groups_wanted(users: int, settings: BrandSettings) -> int:
    """How many groups to aim at: few users make few groups."""
    return max(1, min(settings.groups, users // settings.min_users))


def plain_groups(mixtures: Floats, groups: int, seed: int, *, start: Floats | None = None) -> Numbers:
    """KMeans as it is: numbers 0, 1, … of at most so many groups, however small or large.

    Args:
        mixtures: one point a user.
        groups: at most so many.
        seed: of the first centres.
        start: centres to start from instead, if they are as many as the groups.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct users than groups: empty ones drop out
        groups = min(groups, len(mixtures))
        if start is not None and len(start) == groups:
            model = KMeans(n_clusters=groups, init=start, n_init=1, random_state=seed).fit(mixtures)
        else:
            model = KMeans(n_clusters=groups, n_init=4, random_state=seed).fit(mixtures)
    return _numbered(np.asarray(model.labels_, dtype=np.int64))


def _halved(mixtures: Floats, settings: BrandSettings) -> NDArray[np.bool_] | None:
    """Which users of a group leave it for a new one; None where a half would be too small.

    Two means are tried first; where they cut off too little, the group is cut across its longest axis at the middle.
    """
    if len(mixtures) < 2 * settings.min_users:
        return None
    numbers = plain_groups(mixtures, 2, settings.seed)
    sizes = np.bincount(numbers, minlength=2)
    if sizes.min() >= max(settings.min_users, len(mixtures) // 5):
        return np.asarray(numbers == int(sizes.argmin()))
    centred = mixtures - mixtures.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    if spread[0] < 1e-9:
        return None
    along = centred @ axes[0]
    upper = np.asarray(along > np.median(along))
    return upper if min(int(upper.sum()), int((~upper).sum())) >= settings.min_users else None


def _joined(mixtures: Floats, numbers: Numbers, min_users: int) -> Numbers:
    """The smallest group joins the nearest until all are large enough or one is left."""
    numbers = _numbered(numbers)
    while True:
        sizes = np.bincount(numbers)
        smallest = int(sizes.argmin())
        if len(sizes) == 1 or sizes[smallest] >= min_users:
            return numbers
        centres = centres_of(mixtures, numbers)
        gaps = ((centres - centres[smallest]) ** 2).sum(axis=1)
        gaps[smallest] = np.inf
        numbers = _numbered(np.where(numbers == smallest, int(gaps.argmin()), numbers))


def _two_nearest_joined(mixtures: Floats, numbers: Numbers, *, spare: int) -> Numbers:
    centres = centres_of(mixtures, numbers)
    gaps = ((centres[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    gaps[spare, :] = gaps[:, spare] = np.inf
    np.fill_diagonal(gaps, np.inf)
    if not np.isfinite(gaps).any():
        return numbers
    one, other = np.unravel_index(int(gaps.argmin()), gaps.shape)
    return _numbered(np.where(numbers == other, one, numbers))


def centres_of(mixtures: Floats, numbers: Numbers) -> Floats:
    """The mean point of each group 0, 1, …"""
    sums = np.zeros((int(numbers.max()) + 1, mixtures.shape[1]))
    np.add.at(sums, numbers, mixtures)
    return np.asarray(sums / np.bincount(numbers)[:, None])


def _numbered(numbers: Numbers) -> Numbers:
    """The same groups, numbered 0, 1, … without holes."""
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)
