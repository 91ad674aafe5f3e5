"""The pictures of the closed loop: night by night, variant by variant, and what each part adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_jobs.reporting.figure_file import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "A": "#98a2b3", "M": "#b8860b", "B0": "#e07a3f", "B": "#9b5de5", "B1": "#0f9d58", "B2": "#2f6fde",
    "oracle": "#1c2330",
}  # fmt: skip
OTHERS = ("#c2185b", "#00838f", "#6d4c41")
BY_NIGHT = (
    ("clicks_per_user", "clicks per user and night", 1.0),
    ("regret", "regret: honest clicks lost a page", 1.0),
    ("purchases_per_user", "purchases per user and night", 1.0),
    ("lures", "lures' share of places, %", 100.0),
    ("coverage", "coverage: share of products shown, %", 100.0),
    ("entropy", "entropy of what is shown", 1.0),
)
# In per cent of what the whole has, or, of shares of places, in points.
PARTS = (
    ("clicks_per_user", "clicks per user", "%"),
    ("purchases_per_user", "purchases per user", "%"),
    ("regret", "regret", "%"),
    ("lures", "lures", "points"),
    ("repeats", "repeats", "points"),
    ("close", "same brand too near", "points"),
)
SMOOTHED = 5


def draw(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes nights.png, new-items.png, and with ablations parts.png.

    Args:
        report: of `loop.summary`.
        folder: where to; it must exist.
    """
    pictures = [
        save_figure(_nights(report), folder / "nights.png"),
        save_figure(_new(report), folder / "new-items.png"),
    ]
    if report["ablations"]:
        pictures.append(save_figure(_parts(report), folder / "parts.png"))
    return pictures


def _nights(report: Mapping[str, Any]) -> Figure:
    figure = _figure(13.5, 7.6)
    for place, (name, title, scale) in enumerate(BY_NIGHT, start=1):
        axis = figure.add_subplot(2, 3, place)
        for n, (variant, rates) in enumerate(report["nights"].items()):
            # The truth's own page has no regret and no lure: a line of zeros says nothing.
            if variant == "oracle" and name in {"regret", "lures"}:
                continue
            values = np.array(rates[name]).mean(axis=1) * scale
            nights = np.arange(1, len(values) + 1)
            axis.plot(nights, values, color=_colour(variant, n), alpha=0.2, linewidth=0.8)
            axis.plot(
                nights, _smooth(values), color=_colour(variant, n), linewidth=1.8, label=variant,
                linestyle=":" if variant == "oracle" else "-",
            )  # fmt: skip
        _dress(axis, title, "night")
        axis.locator_params(axis="x", integer=True)
        axis.set_ylim(bottom=0 if name != "entropy" else None)
        if place == 1:
            figure.legend(loc="outside lower center", ncols=len(report["nights"]), frameon=False, fontsize=10)
    seeds = "one seed" if report["seeds"] == 1 else f"mean of {report['seeds']} seeds"
    figure.suptitle(f"{seeds}; faint: nights, strong: mean of {SMOOTHED} nights", x=0.01, ha="left", fontsize=10)
    return figure


def _new(report: Mapping[str, Any]) -> Figure:
    figure = _figure(11, 4.2)
    panels = (
        ("distance", "new items: distance from the true place, % of the list"),
        ("on_page", "first pages they deserve, % that have them"),
    )
    for place, (name, title) in enumerate(panels, start=1):
        axis = figure.add_subplot(1, 2, place)
        for n, (variant, told) in enumerate(report["new"].items()):
            # The oldest are few: they arrived in the first nights.
            values = np.array(told[name])[: max(1, len(told[name]) * 2 // 3)] * 100.0
            axis.plot(
                np.arange(1, len(values) + 1), values, color=_colour(variant, n), linewidth=1.8, marker="o",
                markersize=2.5, label=variant,
            )  # fmt: skip
        _dress(axis, title, "night since it arrived")
        axis.locator_params(axis="x", integer=True)
        axis.set_ylim(bottom=0)
        if place == 1:
            figure.legend(loc="outside lower center", ncols=len(report["new"]), frameon=False, fontsize=10)
    return figure


def _parts(report: Mapping[str, Any]) -> Figure:
    """What changes without a part, with intervals over the seeds."""
    names = list(report["ablations"])
    figure = _figure(13.5, 1.4 + 0.45 * len(names))
    for place, (rate, title, unit) in enumerate(PARTS, start=1):
        axis = figure.add_subplot(1, len(PARTS), place)
        for line, name in enumerate(names):
            told = report["ablations"][name][rate]
            whole = told["own"]["value"] + told["lost"]["value"]
            scale = -100.0 / whole if unit == "%" and whole else -100.0
            low, value, high = (told["lost"][key] * scale for key in ("high", "value", "low"))
            axis.barh(line, value, color=COLOURS["B2"], alpha=0.65, height=0.55)
            if np.isfinite(low):
                axis.plot((low, high), (line, line), color=COLOURS["oracle"], linewidth=1.4)
        axis.axvline(0, color=COLOURS["oracle"], linewidth=0.8)
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names] if place == 1 else [])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.locator_params(axis="x", nbins=4)
        _dress(axis, title, f"change, {unit}")
    variant, seeds = report["ablations"][names[0]]["variant"], report["ablations"][names[0]]["seeds"]
    title = f"{variant} without a part, beside the whole of the same seeds ({seeds})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _dress(axis: Axes, title: str, below: str) -> None:
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(below, fontsize=9)
    axis.tick_params(labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#eef0f3", linewidth=0.8)
    axis.set_axisbelow(True)


def _colour(variant: str, number: int) -> str:
    return COLOURS.get(variant, OTHERS[number % len(OTHERS)])


def _smooth(values: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Running mean; at the ends of what there is."""
    kernel = np.ones(min(SMOOTHED, len(values)))
    return np.convolve(values, kernel, mode="same") / np.convolve(np.ones(len(values)), kernel, mode="same")
