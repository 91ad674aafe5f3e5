"""The bandits by the name that a variant gives."""

from __future__ import annotations

from collections.abc import Callable

from segments.errors import UsageError
from spark_jobs.bandits.contract import Bandit
from spark_jobs.bandits.epsilon_greedy import EpsilonGreedy
from spark_jobs.bandits.greedy import Greedy
from spark_jobs.bandits.kl_ucb import KLUCB
from spark_jobs.bandits.linucb import LinUCB
from spark_jobs.bandits.settings import ExploreSettings
from spark_jobs.bandits.softmax import Softmax
from spark_jobs.bandits.thompson import LinearThompson, Thompson
from spark_jobs.bandits.ucb1 import UCB1
from spark_jobs.bandits.ucb_tuned import UCBTuned

BANDITS: dict[str, Callable[[ExploreSettings], Bandit]] = {
    "none": lambda _: Greedy(),
    "thompson": lambda _: Thompson(),
    "linear-thompson": lambda _: LinearThompson(),
    "ucb1": lambda settings: UCB1(settings.width),
    "ucb-tuned": lambda settings: UCBTuned(settings.width),
    "kl-ucb": lambda settings: KLUCB(settings.width),
    "linucb": lambda settings: LinUCB(settings.width),
    "epsilon-greedy": lambda settings: EpsilonGreedy(settings.epsilon),
    "softmax": lambda settings: Softmax(settings.temperature),
}


def bandit(name: str, settings: ExploreSettings) -> Bandit:
    """A bandit by name, as a shelf sets it.

    Raises:
        UsageError: no such bandit; the known ones are listed.
    """
    if name not in BANDITS:
        raise UsageError.unknown("bandit", name, BANDITS)
    return BANDITS[name](settings)
