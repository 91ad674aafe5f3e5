"""Publishing the small shop of `shop.py`."""

from __future__ import annotations

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.publish.locally import publish
from es_ranking.publish.settings import PublishSettings
from es_ranking.publish.switch import Finished
from tests.es_ranking.publish.shop import SETTINGS, Publisher, documents, plan_for, reasons, users


@pytest.fixture
def published(engine: Engine, index_name: str) -> Publisher:
    """Publishes a night of the shop under `index_name`."""

    def run_it(run: str, *, turn: int = 0, settings: PublishSettings = SETTINGS) -> Finished:
        plan = plan_for(engine, index_name, run, settings=settings)
        return publish(
            engine, plan, documents=documents(turn=turn), reasons=reasons(), users=users(), settings=settings
        )

    return run_it
