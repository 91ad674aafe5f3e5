"""The picture of shrinking hash ranges: what the order is worth, and how many values share a row, by parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spark_jobs.reporting.figure_file import save_figure


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes the picture of `probe.collisions`' rows as PNG; bars are the intervals over seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ordered = sorted(rows, key=lambda row: row["parameters"])
    parameters = [row["parameters"] for row in ordered]
    middle = [row["gauc"] for row in ordered]
    reach = np.nan_to_num([[row["gauc"] - row["low"], row["high"] - row["gauc"]] for row in ordered]).T
    axes.errorbar(parameters, middle, yerr=reach, marker="o", capsize=3, label="gAUC")
    axes.set_xscale("log")
    axes.set_xlabel("parameters")
    axes.set_ylabel("gAUC")
    axes.grid(visible=True, alpha=0.3)
    beside = axes.twinx()
    beside.plot(parameters, [row["collided"] for row in ordered], marker="x", linestyle="--", color="tab:red")
    beside.set_ylabel("share of values without a row to themselves", color="tab:red")
    beside.set_ylim(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
