"""Pictures of the groups: users by their tastes, and how many there are; or several ways of grouping side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segments.families.brand import brand_id
from spark_jobs.features.balanced_groups import Floats, Numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spark_jobs.features.brand_clusters import BrandClusters

# Ten hues that stay apart for colour-blind eyes and in print (Paul Tol's muted scheme).
COLOURS = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777",
)  # fmt: skip
MARKS = ("o", "^", "s", "D")  # the eleventh group has the first one's colour and another mark
SHOWN = 4000  # users in a picture; a neighbourhood map of more takes long
MAPPED = 1500


@dataclass(frozen=True)
class Panel:
    """One way of grouping, to stand beside others.

    Attributes:
        title: above the panel.
        mixtures: (users, topics), a point a user.
        numbers: group of each user.
        note: small, under the title.
    """

    title: str
    mixtures: Floats
    numbers: Numbers
    note: str = ""


def draw_clusters(
    clusters: BrandClusters,
    path: Path,
    *,
    labels: Mapping[int, str] | None = None,
    prefix: str = "b",
    title: str = "Brand groups",
) -> Path:
    """Writes the picture of one grouping: users, and the size of each group.

    Args:
        clusters: fitted groups, not empty.
        path: where to write, PNG or SVG by its ending: the same groups give the same bytes.
        labels: what people read of each group; its own favourites otherwise.
        prefix: of the segment ids in the legend.
        title: above the picture.
    """
    figure = _figure(11, 5.5)
    scatter, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    shown = _sample(len(clusters.users), SHOWN)
    _scatter(scatter, _two_axes(clusters.mixtures)[shown], clusters.numbers[shown], prefix)
    scatter.set(xlabel="first axis of taste", ylabel="second axis of taste")
    scatter.set_title(title, loc="left")
    called = clusters.labels() if labels is None else labels
    numbers, sizes = np.unique(clusters.numbers, return_counts=True)
    names = [f"{brand_id(n, prefix=prefix)}  {_short(called.get(n, ''))}" for n in numbers.tolist()]
    for at, size in enumerate(sizes.tolist()):
        bars.barh(at, size, color=COLOURS[at % len(COLOURS)])
        bars.text(size, at, f"  {size}", va="center", fontsize=9)
    bars.set_yticks(range(len(numbers)), names, fontsize=8)
    bars.invert_yaxis()
    bars.set_title("users, and what they choose more often", loc="left", fontsize=10)
    bars.margins(x=0.15)
    bars.spines[["top", "right"]].set_visible(False)
    return _saved(figure, path)


def draw_side_by_side(panels: Sequence[Panel], path: Path, *, prefix: str = "b") -> Path:
    """Writes a picture with one panel a way of grouping: the clearer the islands, the more that way tells users apart.

    Places are a map of neighbourhoods (t-SNE, van der Maaten and Hinton 2008): near is alike, far says nothing.

    Args:
        panels: from left to right, at least one.
        path: where to write, PNG or SVG by its ending.
        prefix: of the segment ids.
    """
    figure = _figure(5.6 * len(panels), 5.6)
    for axes, panel in zip(np.ravel(figure.subplots(1, len(panels), squeeze=False)), panels, strict=True):
        shown = _sample(len(panel.numbers), MAPPED)
        _scatter(axes, _neighbourhoods(panel.mixtures[shown]), panel.numbers[shown], prefix)
        axes.set_title(panel.title, loc="left", pad=22, weight="bold")
        axes.text(0, 1.02, panel.note, transform=axes.transAxes, fontsize=9, color="#555555")
    return _saved(figure, path)


def _scatter(axes: Any, places: Floats, numbers: Numbers, prefix: str) -> None:
    groups = np.unique(numbers).tolist()
    middles = _apart([np.median(places[numbers == number], axis=0) for number in groups], np.ptp(places, axis=0))
    for at, (number, middle) in enumerate(zip(groups, middles, strict=True)):
        inside, colour = numbers == number, COLOURS[at % len(COLOURS)]
        axes.scatter(places[inside, 0], places[inside, 1], s=9, alpha=0.55, color=colour, linewidths=0,
                     marker=MARKS[at // len(COLOURS) % len(MARKS)])  # fmt: skip
        axes.text(*middle, brand_id(number, prefix=prefix), fontsize=9, weight="bold", ha="center",
                  bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": colour, "alpha": 0.85})  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(False)


def _apart(middles: Sequence[Floats], size: Floats) -> list[Floats]:
    """Places of names, each moved up until it covers none of those before it."""
    placed: list[Floats] = []
    for middle in middles:
        place = middle
        while any((np.abs(place - other) < size * (0.1, 0.045)).all() for other in placed):
            place = place + size * (0.0, 0.01)
        placed.append(place)
    return placed


def _sample(users: int, most: int) -> slice:
    """Of very many users every n-th: more dots would only lie on top of one another."""
    return slice(None, None, 1 + (users - 1) // most)


def _neighbourhoods(points: Floats) -> Floats:
    """Two numbers a user; so few users that nobody has neighbours are put on the main axes."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(40.0, (len(points) - 1) / 3)
    if perplexity < 2 or np.ptp(points, axis=0).max() < 1e-9:
        return _two_axes(points)
    with threadpool_limits(1):
        return np.asarray(TSNE(init="pca", perplexity=perplexity, random_state=7, n_jobs=1).fit_transform(points))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _saved(figure: Figure, path: Path) -> Path:
    """Neither the time nor the version of the library belongs into a file that must be the same tomorrow."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "clusters"}):
        figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    return path


def _two_axes(points: Floats) -> Floats:
    """Principal axes, each pointing to where its largest loading is positive; flat data gives zeros."""
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    places = np.asarray(centred @ axes.T)
    return places if places.shape[1] == 2 else np.pad(places, ((0, 0), (0, 2 - places.shape[1])))


def _short(label: str) -> str:
    return f"{label[:38]}…" if len(label) > 39 else label
