"""A picture of the brand groups: users on the two main axes of their tastes, and how many are in each group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segments.families.brand import brand_id

if TYPE_CHECKING:
    from spark_jobs.features.brand_clusters import BrandClusters

# Ten hues that stay apart for colour-blind eyes and in print (Paul Tol's muted scheme).
COLOURS = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777",
)  # fmt: skip


def draw_clusters(clusters: BrandClusters, path: Path, *, prefix: str = "b", title: str = "Brand groups") -> Path:
    """Writes the picture, PNG or SVG by the ending of the path: the same groups give the same bytes.

    Args:
        clusters: fitted groups, not empty.
        path: where to write.
        prefix: of the segment ids in the legend.
        title: above the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    scatter, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    places = _two_axes(clusters.mixtures)
    numbers = np.unique(clusters.numbers)
    for at, number in enumerate(numbers.tolist()):
        inside = clusters.numbers == number
        colour = COLOURS[at % len(COLOURS)]
        scatter.scatter(places[inside, 0], places[inside, 1], s=9, alpha=0.55, color=colour, linewidths=0)
        middle = np.median(places[inside], axis=0)
        scatter.text(*middle, brand_id(number, prefix=prefix), fontsize=9, weight="bold", ha="center",
                     bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": colour, "alpha": 0.85})  # fmt: skip
        bars.barh(at, int(inside.sum()), color=colour)
        bars.text(int(inside.sum()), at, f"  {int(inside.sum())}", va="center", fontsize=9)
    scatter.set(xlabel="first axis of taste", ylabel="second axis of taste", xticks=[], yticks=[])
    scatter.set_title(title, loc="left")
    bars.set_yticks(range(len(numbers)), [_named(n, clusters, prefix) for n in numbers.tolist()], fontsize=8)
    bars.invert_yaxis()
    bars.set_title("users, and what they choose more often", loc="left", fontsize=10)
    bars.margins(x=0.15)
    for axes in (scatter, bars):
        axes.spines[["top", "right"]].set_visible(False)
    # Neither the time nor the version of the library belongs into a file that must be the same tomorrow.
    with matplotlib.rc_context({"svg.hashsalt": "clusters"}):
        figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    return path


def _two_axes(points: np.ndarray) -> np.ndarray:
    """Principal axes, each pointing to where its largest loading is positive; flat data gives zeros."""
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    places = centred @ axes.T
    return places if places.shape[1] == 2 else np.pad(places, ((0, 0), (0, 2 - places.shape[1])))


def _named(number: int, clusters: BrandClusters, prefix: str) -> str:
    label = clusters.labels.get(number, "")
    return f"{brand_id(number, prefix=prefix)}  {label[:38] + '…' if len(label) > 39 else label}"
