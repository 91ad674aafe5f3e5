"""The report's pictures, as SVG text: training curves, lifts with intervals, seconds by step."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

INK, SOFT, MARK, SECOND = "#1c2330", "#98a2b3", "#2f6fde", "#e07a3f"


def curves(history: Sequence[Mapping[str, float]], *, title: str) -> str:
    """Training loss and validation gAUC by epoch; `history` has the keys epoch, train_loss and valid_gauc."""
    figure, axis = blank(title)
    epochs = [row["epoch"] for row in history]
    axis.plot(epochs, [row["train_loss"] for row in history], color=SECOND, marker="o", label="training loss")
    axis.set_xlabel("epoch")
    axis.set_ylabel("training loss")
    axis.set_xticks(epochs)
    right = axis.twinx()
    right.spines[["top"]].set_visible(False)
    right.plot(epochs, [row["valid_gauc"] for row in history], color=MARK, marker="s", label="validation gAUC")
    right.set_ylabel("validation gAUC")
    lines = [*axis.get_lines(), *right.get_lines()]
    axis.legend(lines, [str(line.get_label()) for line in lines], frameon=False, loc="center right")
    return svg(figure)


def lifts(rows: Sequence[tuple[str, float, float, float]], *, title: str, unit: str, width: float = 6.4) -> str:
    """Differences with their intervals, one line a row: (name, estimate, low, high); zero is drawn."""
    figure, axis = blank(title, width=width, height=0.9 + 0.42 * len(rows))
    places = range(len(rows), 0, -1)
    for place, (_, estimate, low, high) in zip(places, rows, strict=True):
        color = MARK if low > 0 else SECOND if high < 0 else SOFT
        axis.plot([low, high], [place, place], color=color, linewidth=3, solid_capstyle="round")
        axis.plot([estimate], [place], marker="o", color=color)
    axis.axvline(0.0, color=SOFT, linewidth=0.8)
    axis.set_yticks(list(places), [name for name, *_ in rows])
    axis.set_ylim(0.4, len(rows) + 0.6)
    axis.set_xlabel(unit)
    return svg(figure)


def bars(values: Mapping[str, float], *, title: str, unit: str) -> str:
    """One horizontal bar a name, the value written beside it."""
    figure, axis = blank(title, height=0.9 + 0.32 * len(values))
    names = list(values)[::-1]
    drawn = axis.barh(names, [values[name] for name in names], color=MARK, height=0.6)
    axis.bar_label(drawn, fmt="%.0f", padding=4, color=INK)
    axis.set_xlabel(unit)
    axis.margins(x=0.12)
    return svg(figure)


def blank(title: str, *, width: float = 6.4, height: float = 3.6) -> tuple[Figure, mpl.axes.Axes]:
    """An empty picture in the report's style."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.add_subplot()
    axis.set_title(title, loc="left", fontsize=11, color=INK)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def svg(figure: Figure) -> str:
    """The picture as text."""
    text = io.StringIO()
    # A fixed salt and no date: the same night draws the same bytes.
    with mpl.rc_context({"svg.hashsalt": "es-ranking", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
