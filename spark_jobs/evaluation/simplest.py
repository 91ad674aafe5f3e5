"""The simplest contestant that is not shown to be worse than the best.

A cousin of the one-standard-error rule (Breiman et al., 1984, ch. 3): of all contestants whose gap to the best may be
nothing (its paired bootstrap interval over users reaches zero, in every metric asked for), the smallest is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segments.errors import Refused
from spark_jobs.evaluation.bootstrap import PairedBootstrap
from spark_jobs.evaluation.ranking import UserSums


@dataclass(frozen=True)
class Entrant:
    """Attributes: name; parameters, what makes it simple; sums by metric, over the same users as every other's."""

    name: str
    parameters: int
    sums: Mapping[str, UserSums]


def simplest(
    entrants: Sequence[Entrant], *, users: int, metrics: Sequence[str], draws: int = 500, seed: int = 0
) -> dict[str, Any]:
    """Chooses, and says why.

    Args:
        entrants: at least one.
        users: how many the sums are over.
        metrics: all must hold.
        draws, seed: of the bootstrap.

    Returns:
        `chosen` (name), and `evidence`: by entrant `parameters`, `within` (may be as good as the best), and by metric
        `value`, `low`, `high` and `behind` (best minus this: value, low, high).

    Raises:
        Refused: nobody to choose from.
    """
    if not entrants:
        raise Refused("there is no contestant to choose from")
    bootstrap = PairedBootstrap(users, draws=draws, seed=seed)
    evidence: dict[str, dict[str, Any]] = {
        entrant.name: {"parameters": entrant.parameters, "within": True} for entrant in entrants
    }
    for metric in metrics:
        samples = {entrant.name: bootstrap.ratios(entrant.sums[metric]) for entrant in entrants}
        values = {entrant.name: entrant.sums[metric].value for entrant in entrants}
        best = max(values, key=values.__getitem__)
        for name, value in values.items():
            own = bootstrap.interval(value, samples[name])
            gap = bootstrap.difference(values[best], samples[best], than=(value, samples[name]))
            evidence[name][metric] = {
                "value": own.value,
                "low": own.low,
                "high": own.high,
                "behind": [gap.value, gap.low, gap.high],
            }
            # Of an interval that is not known nothing is shown.
            evidence[name]["within"] &= name == best or not gap.low > 0.0
    within = [entrant for entrant in entrants if evidence[entrant.name]["within"]]
    # Two metrics may each have a best of its own, and nobody be within of both: the best of the first one, then.
    if not within:
        first = metrics[0]
        within = [max(entrants, key=lambda entrant: entrant.sums[first].value)]
    return {"chosen": min(within, key=lambda entrant: entrant.parameters).name, "evidence": evidence}
