"""The run folder of a training: configuration as YAML, figures as JSON, curves as CSV and picture."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from segments.config import Settings
from segments.whole import whole, write_whole


def write_run(
    folder: Path,
    *,
    settings: Mapping[str, Settings],
    metrics: Mapping[str, object],
    curve: Sequence[Mapping[str, float]],
) -> None:
    """Writes configuration.yaml, metrics.json, curves.csv and curves.png.

    Args:
        folder: made if missing; files there are replaced.
        settings: the blocks of the configuration by name.
        metrics: figures; numbers that are not finite become null.
        curve: one mapping an epoch, the same keys in each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}:\n{_indented(block.to_yaml())}" for name, block in settings.items())
    write_whole(folder / "configuration.yaml", text)
    write_whole(folder / "metrics.json", json.dumps(finite(metrics), indent=1, default=str))
    if not curve:
        return
    names = list(dict.fromkeys(name for point in curve for name in point))
    with whole(folder / "curves.csv") as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(dict(point) for point in curve)
    _picture(folder / "curves.png", curve)


def finite(value: object) -> object:
    """The same with numbers that are not finite as None: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _picture(path: Path, curve: Sequence[Mapping[str, float]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [name for name in ("train_loss", "logloss", "gauc", "auc") if any(name in point for point in curve)]
    figure = Figure(figsize=(3.2 * len(shown), 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), place)
        points = [(point["epoch"], point[name]) for point in curve if math.isfinite(point.get(name, math.nan))]
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o")
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.grid(visible=True, alpha=0.3)
    with whole(path) as fresh:
        figure.savefig(fresh, dpi=110, format="png")


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
