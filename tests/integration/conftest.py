"""Whole nights of a small generated world, on the real servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from es_ranking.engine.contract import Engine
from spark_jobs.night import Night
from spark_jobs.nightly import NIGHTLY, run_night
from spark_jobs.recipe import load_recipe
from tests.integration.nights import FIRST, RECIPE, Published

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def published_night(
    spark: SparkSession, engine: Engine, engine_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """The first night, published."""
    alias = f"night-{os.getpid()}"
    before = {name: os.environ.get(name) for name in ("NIGHT_ALIAS", "ES_URL")}
    os.environ |= {"NIGHT_ALIAS": alias, "ES_URL": engine_url}
    try:
        folder = tmp_path_factory.mktemp("night")
        night = Night(spark, load_recipe(str(RECIPE)), FIRST, str(folder / "warehouse"), folder / "runs")
        yield Published(night, alias, run_night(night, NIGHTLY))
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        for state in engine.indices(f"{alias}*"):
            engine.delete_index(state.name, missing_ok=True)
