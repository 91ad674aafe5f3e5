"""The bandits by the name that a variant gives."""

from __future__ import annotations

from segments.errors import UsageError
from spark_jobs.bandits.contract import Bandit
from spark_jobs.bandits.greedy import Greedy
from spark_jobs.bandits.thompson import Thompson

BANDITS: dict[str, type[Bandit]] = {
    "none": Greedy,
    "thompson": Thompson,
}


def bandit(name: str) -> Bandit:
    """A bandit by name.

    Raises:
        UsageError: no such bandit; the known ones are listed.
    """
    if name not in BANDITS:
        raise UsageError.unknown("bandit", name, BANDITS)
    return BANDITS[name]()
