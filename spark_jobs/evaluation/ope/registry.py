"""Every off-policy estimator by name; a new one is one function and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spark_jobs.evaluation.ope.clipping import shrinkages, thresholds
from spark_jobs.evaluation.ope.lists import cascade_dr, iips, ips, rips
from spark_jobs.evaluation.ope.modelled import dm, dr, dr_os, sndr, switch_dr
from spark_jobs.evaluation.ope.rounds import F64, Rounds, Terms
from spark_jobs.evaluation.ope.weighting import ipw, mips, replay, snipw


@dataclass(frozen=True)
class Estimator:
    """One estimator.

    Attributes:
        terms: of rounds and a threshold (infinite: none).
        candidates: thresholds that data choose among, from weights, least biased first; None: it has none.
        slot: offered for logs of a single place.
        lists: offered for logs of several places.
        needs: attribute of the rounds without which it has nothing to say of its own.
    """

    terms: Callable[[Rounds, float], Terms]
    candidates: Callable[[F64], F64] | None = None
    slot: bool = True
    lists: bool = True
    needs: str = "weight"


ESTIMATORS: dict[str, Estimator] = {
    "ipw": Estimator(ipw, lists=False),
    "ipw-clipped": Estimator(ipw, thresholds),
    "snipw": Estimator(snipw),
    "mips": Estimator(mips, needs="cell"),
    "replay": Estimator(replay, lists=False),
    "iips": Estimator(iips, slot=False),
    "rips": Estimator(rips, slot=False),
    "ips": Estimator(ips, slot=False),
    "cascade-dr": Estimator(cascade_dr, slot=False),
    "dm": Estimator(dm),
    "dr": Estimator(dr),
    "sndr": Estimator(sndr),
    "switch-dr": Estimator(switch_dr, thresholds),
    "dr-os": Estimator(dr_os, shrinkages),
}
