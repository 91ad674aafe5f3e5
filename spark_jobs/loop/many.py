"""Many worlds at once: seeds and ablations in processes, and what they come to together."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from segments.errors import RankingError
from segments.whole import write_whole
from spark_jobs.crew import leave_with_parent
from spark_jobs.loop.run import is_whole, run_world, seed_folder
from spark_jobs.loop.settings import WHOLE, LoopSettings, ablations, changed, the_world
from spark_jobs.loop.summary import Run, summary
from spark_jobs.models.run_folder import finite
from spark_jobs.recipe import load_recipe
from spark_jobs.reporting.loop_picture import draw

Told = Callable[[str], None]


def run_loop(
    settings: LoopSettings, *, seeds: Sequence[int], ablate: Sequence[str] = (), ablation_seeds: int | None = None,
    jobs: int = 1, folder: Path, on_world: Told = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Runs what is not there yet of every seed, and writes loop.json and the pictures.

    Args:
        settings: of the loop.
        seeds: one world each.
        ablate: names of ablations, or `all`.
        ablation_seeds: ablations take the first so many of the seeds; None: all.
        jobs: processes.
        folder: of the run; one folder a name and seed below it.
        on_world: told what has ended.

    Raises:
        UsageError: an unknown ablation, or a recipe that arrays cannot run.
        Refused: the folder holds nights of other settings.
    """
    recipe = load_recipe(settings.recipe)
    the_world(recipe, settings, seed=0)
    names = list(ablations()) if "all" in ablate else list(ablate)
    for name in names:
        changed(recipe, settings, name=name)
    todo = [(WHOLE, seed) for seed in seeds]
    todo += [(name, seed) for name in names for seed in seeds[:ablation_seeds]]
    # What is there is only looked at: no process is started for it.
    found = [one for one in todo if is_whole(seed_folder(folder, *one), settings)]
    folders = {one: run_world(recipe, settings, seed=one[1], name=one[0], folder=folder) for one in found}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=leave_with_parent) as pool:
        waiting: dict[Future[Path], tuple[str, int]] = {
            pool.submit(run_world, recipe, settings, seed=seed, name=name, folder=folder): (name, seed)
            for name, seed in todo
            if (name, seed) not in folders
        }
        try:
            for future in as_completed(waiting):
                folders[waiting[future]] = future.result()
                on_world(f"{len(folders)} of {len(todo)} worlds: {waiting[future][0]}, seed {waiting[future][1]}")
        except BrokenProcessPool as error:
            hint = "out of memory? give fewer --jobs and run again: what is finished is kept"
            raise RankingError("a process of the loop ended before its time", where=str(folder), hint=hint) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    runs = {
        name: Run([folders[name, seed] for seed in seeds if (name, seed) in folders], settings)
        for name in (WHOLE, *names)
    }
    report = {"settings": settings.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json"),
              "first_seed": seeds[0], **summary(runs)}  # fmt: skip
    report["pictures"] = [str(path) for path in draw(report, folder)]
    told: dict[str, Any] = json.loads(json.dumps(finite(report)))
    write_whole(folder / "loop.json", json.dumps(told, indent=1))
    return told
