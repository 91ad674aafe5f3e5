"""The picture of a replay: by day, what each contestant's lists were truly worth, and how well it predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spark_jobs.reporting.figure_file import save_figure

COLOURS = {
    "no_update": "#98a2b3", "nightly": "#e07a3f", "nightly_recent": "#b8860b", "continual_daily": "#2f6fde",
    "continual_hourly": "#0f9d58",
}  # fmt: skip
PANELS = (
    ("ctr_served", "true click rate of the first places"),
    ("gauc", "gAUC of the day"),
    ("logloss", "logloss of the day"),
)


def draw(days: Sequence[Mapping[str, Any]], path: Path, *, drift_days: int) -> None:
    """Writes the picture as PNG; bands reach from the lowest to the highest seed, dashed lines are days of drift."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    numbers = [line["day"] for line in days]
    for place, (name, title) in enumerate(PANELS, start=1):
        axis = figure.add_subplot(1, len(PANELS), place)
        for day in numbers:
            if day % drift_days == 0:
                axis.axvline(day, color="#d0d5dd", linestyle="--", linewidth=0.8)
        for contestant, colour in COLOURS.items():
            values = np.array([line[contestant][name] for line in days])
            axis.plot(numbers, values.mean(axis=1), color=colour, marker="o", markersize=3, label=contestant)
            axis.fill_between(numbers, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.12)
        if name == "ctr_served":
            best = np.array([line["best_ctr"] for line in days]).mean(axis=1)
            axis.plot(numbers, best, color="#1c2330", linestyle=":", label="the truth itself")
            figure.legend(loc="outside lower center", ncols=len(COLOURS) + 1, frameon=False, fontsize=9)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("day")
        axis.set_xticks(numbers)
        axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
