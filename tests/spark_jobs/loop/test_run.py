"""Nights of a small world: they end the same however often they were killed, and refuse what they cannot do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.main import exit_code_of
from segments.errors import Refused, UsageError
from spark_jobs.loop.run import Kept, day_file, run_world
from spark_jobs.loop.settings import ORACLE, WHOLE, LoopSettings, ablations, changed, the_world
from spark_jobs.loop.summary import Run, summary
from spark_jobs.recipe import load_recipe
from tests.spark_jobs.loop.small import SETTINGS, small_recipe

DAYS = range(SETTINGS.warmup_days + SETTINGS.nights)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_world(small_recipe(), SETTINGS, seed=3, name=WHOLE, folder=tmp_path_factory.mktemp("loop"))


def test_a_loop_that_was_killed_ends_as_if_nothing_had_happened(whole: Path, tmp_path: Path) -> None:
    def killed(stage: str) -> None:
        if stage.endswith("night 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_world(small_recipe(), SETTINGS, seed=3, name=WHOLE, folder=tmp_path, on_night=killed)
    again: list[str] = []
    folder = run_world(small_recipe(), SETTINGS, seed=3, name=WHOLE, folder=tmp_path, on_night=again.append)
    assert [stage[-7:] for stage in again] == ["night 2", "night 3"]
    for day in DAYS:
        one, other = Kept.read(day_file(whole, day)), Kept.read(day_file(folder, day))
        assert np.array_equal(one.pages, other.pages)
        assert one.figures == other.figures
        for variant, values in one.new.items():
            np.testing.assert_array_equal(values, other.new[variant])


def test_the_command_finds_finished_worlds_and_reports_them(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe, config = tmp_path / "recipe.yaml", tmp_path / "loop.yaml"
    recipe.write_text(small_recipe().to_yaml())
    settings = SETTINGS.model_copy(update={"recipe": str(recipe)})
    config.write_text(settings.to_yaml())
    shutil.copytree(whole, tmp_path / "loop" / WHOLE / whole.name)
    said = (whole / "settings.yaml").read_text().partition("---\n")[2]
    (tmp_path / "loop" / WHOLE / whole.name / "settings.yaml").write_text(f"{settings.to_yaml()}---\n{said}")
    arguments = ["loop", "run", "--seeds", "1", "--first-seed", "3", "--config", str(config)]
    assert exit_code_of([*arguments, "--folder", str(tmp_path / "loop"), "--output", "json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report == json.loads((tmp_path / "loop" / "loop.json").read_text())
    assert set(report["reached"]) == {"M", "B0", "B", "B1", "B2"}
    assert report["reached"]["B2"]["low"] is None


def test_every_night_is_told_of_every_bucket(whole: Path) -> None:
    run = Run([whole], SETTINGS)
    assert run.variants == ["A", "M", "B0", "B", "B1", "B2", ORACLE]
    assert run.rate(ORACLE, "regret") == [0.0]
    assert run.rate(ORACLE, "lures") == [0.0]
    assert run.rate("B2", "regret")[0] > 0
    # Twiddlers are on where they should be: the surface keeps brands apart as far as six brands allow.
    assert run.rate("B2", "close")[0] < run.rate("A", "close")[0]
    report = summary({WHOLE: run})
    assert set(report["variants"]) == set(run.variants)
    assert report["new"]["B2"]["items"] >= 0
    for night in range(SETTINGS.nights):
        assert run.by_night("B2", "clicks_per_user")[night][0] >= 0


def test_days_of_other_settings_are_not_gone_on_with(whole: Path) -> None:
    other = SETTINGS.model_copy(update={"tired": 0.5})
    with pytest.raises(Refused, match="other settings"):
        run_world(small_recipe(), other, seed=3, name=WHOLE, folder=whole.parents[1])


@pytest.mark.parametrize("name", list(ablations()))
def test_an_ablation_changes_what_it_says(name: str) -> None:
    recipe = load_recipe("loop")
    other, settings = changed(recipe, LoopSettings(), name=name)
    shelf = other.shelves["product"]
    told = {
        "no_exploration": {variant.bandit for variant in other.variants.values()} == {"none"},
        "no_lure_filter": shelf.lures.follow == "off",
        "no_twiddlers": not settings.surface.twiddlers,
        "two_tower": shelf.model.kind == "two_tower",
    }
    assert [found for found, true in told.items() if true] == [name]
    assert other.source == recipe.source


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shelves": {"product": {"explore": {"half_life_days": 3.0}}}}, "Spark alone"),
        ({"variants": {"B": {"bandit": "linucb"}}}, "linear bandits"),
        ({"variants": {ORACLE: {"scorer": "sales"}}}, "own bucket"),
    ],
)
def test_what_arrays_cannot_do_is_refused(change: dict[str, object], says: str) -> None:
    from spark_jobs.loop.settings import merged
    from spark_jobs.recipe import Recipe

    recipe = Recipe.of(merged(load_recipe("loop").model_dump(mode="json"), change))
    with pytest.raises(UsageError, match=says):
        the_world(recipe, LoopSettings(), seed=1)


def test_bad_input_is_one_line_of_wrong_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("nihgts: 3\n")
    for arguments, says in (
        (["--ablate", "no_luck"], "no_luck"),
        (["--recipe", "complete-journey"], "known truth"),
        (["--config", str(bad)], "nihgts"),
    ):
        assert exit_code_of(["loop", "run", "--seeds", "1", "--folder", str(tmp_path / "loop"), *arguments]) == 2
        assert says in capfd.readouterr().err
    assert not (tmp_path / "loop").exists()
