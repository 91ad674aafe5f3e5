"""Several lists at once: the page of a front end has many, and asks the engine for all of them in one request."""

from __future__ import annotations

from collections.abc import Sequence

from es_ranking.actions.contract import ActionStore
from es_ranking.engine.contract import Engine
from es_ranking.experiments.live import Trials
from es_ranking.policy.live import Policies
from es_ranking.query.exposures import ExposureLog
from es_ranking.query.page import Page
from es_ranking.query.prepare import Request, Stores
from es_ranking.query.running import page_of, run_request
from es_ranking.query.steps import drive_together
from es_ranking.tastes.contract import TasteStore
from segments.errors import RankingError


def recommended_batch(
    engine: Engine,
    requests: Sequence[Request],
    *,
    actions: ActionStore | None = None,
    tastes: TasteStore | None = None,
    policies: Policies | None = None,
    experiments: Trials | None = None,
    way: str = "auto",
    explain: bool = False,
    exposures: ExposureLog | None = None,
) -> list[Page | RankingError]:
    """Runs several requests, of one user or many, on one index or several; what they ask at a time is one `_msearch`.

    Args:
        requests: each as `recommended` takes it.
        actions, tastes, policies, experiments, way, explain, exposures: for all of them, as in `recommended`.

    Returns:
        For each request its page, the same that `recommended` gives, or the error that `recommended` would raise: one
        list that fails leaves the others alone.
    """
    stores = Stores(actions, tastes, policies, experiments)
    found = drive_together(engine, [run_request(engine, request, stores, way) for request in requests])
    return [
        one if isinstance(one, RankingError)
        else page_of(engine, one, explain=explain, exposures=exposures)
        for one in found
    ]  # fmt: skip
