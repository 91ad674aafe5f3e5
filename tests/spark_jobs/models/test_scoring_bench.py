from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.bench import group
from spark_jobs.models.registry import MODELS
from spark_jobs.models.scoring_bench import bench_scoring

WITHOUT_PRODUCTS = {"two_tower", "logistic", "fm", "fwfm", "xgboost"}  # … a pair: matrix products for the whole grid


@pytest.mark.parametrize("model", MODELS)
def test_grid_is_exact_and_figures_are_there(model: str) -> None:
    figures = bench_scoring(items=600, segments=7, model=model, threads=1)
    assert isinstance(figures["max_abs_diff"], float)
    assert figures["max_abs_diff"] <= 1e-5
    assert (figures["efficiency"] is None) == (model in WITHOUT_PRODUCTS)
    for key in ("pairs_per_second", "gemm_peak_gflops", "peak_rss_mb"):
        assert isinstance(figures[key], float)
        assert figures[key] > 0


def test_command() -> None:
    flags = ["scoring", "--items=300", "--segments=5", "--hidden=16,8", "--threads=1", "--output=json"]
    result = CliRunner().invoke(group, flags, catch_exceptions=False)
    assert set(json.loads(result.stdout)) >= {
        "pairs_per_second", "gemm_peak_gflops", "efficiency", "max_abs_diff", "peak_rss_mb",
    }  # fmt: skip
    wrong = CliRunner().invoke(group, ["scoring", "--hidden=wide"])
    assert "not a list of widths" in str(wrong.exception)
