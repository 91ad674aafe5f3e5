"""The hourly job: the night's own steps over what has come since, between two that are its own."""

from __future__ import annotations

from collections.abc import Callable

from spark_jobs.night import Night
from spark_jobs.nightly import HOURLY, run_night


def run_hour(night: Night, *, on_step: Callable[[str], None] | None = None) -> dict[str, dict[str, object]]:
    """Reads what happened since the night, updates the models under the guard, publishes what changed.

    May be run as often as wished (every ten minutes, say), and again after any crash: until the last step has switched,
    the previous ranks serve.

    Raises:
        Refused: no night is published, or a newer generation serves.
    """
    return run_night(night, HOURLY, on_step=on_step)
