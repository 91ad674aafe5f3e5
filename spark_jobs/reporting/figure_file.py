"""A picture's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segments.whole import whole

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure, beside and renamed: whoever looks sees the old picture or the new one."""
    with whole(path) as fresh:
        figure.savefig(fresh, dpi=110, format="png")
    return path
