"""What the routes of one service share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.contract import Engine
from es_ranking.experiments.live import Trials
from es_ranking.policy.live import Policies
from es_ranking.query.exposures import ExposureLog
from es_ranking.serve.event_log import EventLog
from es_ranking.serve.metrics import Metrics
from es_ranking.serve.passing import Passing
from es_ranking.serve.pool import Pool
from es_ranking.serve.settings import ServeSettings
from es_ranking.tastes.contract import TasteStore
from es_ranking.twiddlers.settings import Surface
from segments.errors import UsageError


@dataclass(frozen=True)
class Service:
    """One service: where it asks, what it knows, what it may do.

    Args:
        surfaces: by name; requests choose among them and never name a file.
        key: signs cursors; None: ES_RANKING_CURSOR_KEY.
    """

    settings: ServeSettings
    engine: Engine
    passing: Passing
    surfaces: Mapping[str, Surface]
    pool: Pool
    actions: ActionStore | None = None
    tastes: TasteStore | None = None
    policies: Policies | None = None
    experiments: Trials | None = None
    exposures: ExposureLog | None = None
    events: EventLog | None = None
    key: bytes | None = None
    metrics: Metrics = field(default_factory=Metrics)

    def surface(self, name: str | None) -> Surface:
        """The surface of a request.

        Raises:
            UsageError: the service was started without it.
        """
        wanted = name or self.settings.surface
        if wanted not in self.surfaces:
            raise UsageError.unknown("surface", wanted, self.surfaces)
        return self.surfaces[wanted]
