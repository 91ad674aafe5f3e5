"""The report page: sections of text, tables and pictures, rendered into one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segments.whole import write_whole


@dataclass(frozen=True)
class Table:
    """Rows as mappings; the columns are the keys, in the order they first appear."""

    rows: Sequence[Mapping[str, Any]]
    caption: str = ""

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(key for row in self.rows for key in row))


@dataclass(frozen=True)
class Section:
    """One heading of the page: a sentence or two, then tables, then pictures (SVG text)."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[str] = field(default_factory=tuple)

    @property
    def drawings(self) -> list[Markup]:
        # Our own matplotlib SVG; every other value on the page is escaped by the template.
        return [Markup(picture[picture.index("<svg") :]) for picture in self.pictures]


def write_page(path: Path, *, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Renders the sections into `path`, written beside and renamed."""
    environment = Environment(
        loader=PackageLoader("spark_jobs.reporting", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["cell"] = _cell
    html = environment.get_template("page.html.j2").render(title=title, lead=lead, sections=sections)
    write_whole(path, html)
    return path


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
