"""The picture of a comparison of compressors: by width, what is left of the vectors, and the gAUC with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from spark_jobs.reporting.figure_file import save_figure

COLOURS = {"mean": "#98a2b3", "max": "#b8860b", "pca": "#e07a3f", "autoencoder": "#2f6fde", "umap": "#0f9d58"}
PANELS = (("explained", "held-out vectors explained"), ("neighbours", "ten nearest kept"), ("gauc", "gAUC"))


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes the picture as PNG; rows as `compressions.compare` has them, lines across are those without compressor."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    tried = [row for row in rows if row["explained"] is not None]
    widths = sorted({row["width"] for row in tried})
    kinds = list(dict.fromkeys(row["name"] for row in tried))
    for place, (name, title) in enumerate(PANELS, start=1):
        axis = figure.add_subplot(1, len(PANELS), place)
        for n, kind in enumerate(kinds):
            mine = {row["width"]: row[name] for row in tried if row["name"] == kind}
            at = [widths.index(width) + 0.08 * (n - (len(kinds) - 1) / 2) for width in mine]
            values = [told["value"] if isinstance(told, Mapping) else told for told in mine.values()]
            halves = [_half(told) for told in mine.values()]
            axis.errorbar(at, values, yerr=halves, fmt="o", capsize=3, color=COLOURS.get(kind, "#1c2330"), label=kind)
        if name == "gauc":
            across = [row for row in rows if row["explained"] is None]
            for row, style in zip(across, cycle(("-", "--", ":", "-."))):
                told = f"{row['name']} ({row['width']})" if row["width"] else "no vector"
                axis.axhline(row["gauc"]["value"], color="#1c2330", linestyle=style, linewidth=0.9, label=told)
            figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False,
                          fontsize=9)  # fmt: skip
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xticks(range(len(widths)), [str(width) for width in widths])
        axis.set_xlabel("numbers in a code")
        axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _half(told: Any) -> float:
    """Half the width of an interval; 0 of a plain number or where there is none."""
    if not isinstance(told, Mapping) or told["low"] is None or not math.isfinite(told["low"]):
        return 0.0
    return float(told["high"] - told["low"]) / 2
