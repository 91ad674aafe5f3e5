"""Demographic segments: the cross of chosen attributes, with small cells merged into their parent.

A cell is a tuple of attribute values, in the order of the settings. The parent of (35-44, 50-74K) is (35-44), whose
parent is `all`. A cell with fewer than `min_users` users hands them to its parent; what is still too small there falls
back to `all`, which is to say that these users have no segment of this family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from segments.catalogue import ALL, Cut, Segment
from segments.config import Settings
from segments.naming import segment_ids

UNKNOWN = "unknown"
Cell = tuple[str, ...]


class DemographicSettings(Settings):
    """How users are cut by what they told about themselves."""

    kind: Literal["demographic"] = "demographic"
    prefix: str = Field(default="d", pattern="^[a-z][a-z0-9]*$", description="first part of the segment ids")
    attributes: tuple[str, ...] = Field(min_length=1, description="user attributes to cross, the last is dropped first")
    min_users: int = Field(default=50, ge=1, description="smaller cells are merged into their parent")


def cut_by_demographics(
    users: Mapping[str, Mapping[str, str | None]], settings: DemographicSettings, *, family: str = "demographic"
) -> Cut:
    """Cuts users by their attributes.

    Args:
        users: attributes by user id; a missing or empty attribute counts as unknown.
        settings: which attributes, and how small a cell may be.
        family: the family's name, under which models know the segment.

    Returns:
        Segment by user (users left over at the last level have none), and the segments.
    """
    cell_of = {user: _cell(attributes, settings.attributes) for user, attributes in users.items()}
    for depth in range(len(settings.attributes), 0, -1):
        sizes = Counter(cell_of.values())
        for user, cell in cell_of.items():
            if len(cell) == depth and sizes[cell] < settings.min_users:
                cell_of[user] = _trimmed(cell[:-1])
    sizes = Counter(cell for cell in cell_of.values() if cell)
    ids = segment_ids(settings.prefix, sizes)
    segments = tuple(
        Segment(
            id=ids[cell],
            family=family,
            values={family: ids[cell]},
            users=sizes[cell],
            label=" × ".join(cell),
            parent=next((ids[cell[:n]] for n in range(len(cell) - 1, 0, -1) if cell[:n] in ids), ALL),
        )
        for cell in sorted(sizes)
    )
    return Cut(segments=segments, segment_of={user: ids[cell] for user, cell in cell_of.items() if cell})


def _cell(attributes: Mapping[str, str | None], names: tuple[str, ...]) -> Cell:
    return _trimmed(tuple((attributes.get(name) or "").strip() or UNKNOWN for name in names)) or (UNKNOWN,)


def _trimmed(cell: Cell) -> Cell:
    """A cell without the unknowns at its end: (35-44, unknown) is (35-44); (unknown, unknown) is (unknown)."""
    while len(cell) > 1 and cell[-1] == UNKNOWN:
        cell = cell[:-1]
    return cell
