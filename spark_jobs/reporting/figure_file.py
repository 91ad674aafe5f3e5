"""A picture's file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a figure, beside and renamed: whoever looks sees the old picture or the new one."""
    fresh = path.with_name(f"{path.stem}.{os.getpid()}.tmp.png")
    figure.savefig(fresh, dpi=110)
    fresh.replace(path)
    return path
