"""The nights that integration tests share: their recipe, their clocks, and one that was published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from spark_jobs.night import Night

RECIPE = Path(__file__).with_name("night.yaml")
FIRST, SECOND = datetime(2026, 1, 23, tzinfo=UTC), datetime(2026, 1, 24, tzinfo=UTC)


@dataclass(frozen=True)
class Published:
    """A night that was run whole, and the alias its indices stand behind."""

    night: Night
    alias: str
    figures: dict[str, dict[str, object]]

    def at(self, clock: datetime) -> Night:
        return replace(self.night, as_of=clock)
