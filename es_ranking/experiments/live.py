"""The experiments as searches see them."""

from __future__ import annotations

from typing import TypeAlias

from es_ranking.experiments.document import Experiments
from es_ranking.experiments.store import ExperimentStore
from es_ranking.versions.live import Documents, Given, LiveDocuments

Trials: TypeAlias = Documents[Experiments]
GivenExperiments = Given[Experiments]


class LiveExperiments(LiveDocuments[Experiments]):
    """Experiments of an engine, remembered for a short time: new ratios and the kill switch hold within seconds."""

    store = ExperimentStore
