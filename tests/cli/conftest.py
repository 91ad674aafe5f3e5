"""What tests of commands share."""

from __future__ import annotations

import pytest

from es_ranking.engine.contract import Engine


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """Commands that put versions of documents speak to the engine of the tests; nobody has said who decides."""
    monkeypatch.setenv("ES_URL", engine.url)
    monkeypatch.delenv("ES_RANKING_BY", raising=False)
