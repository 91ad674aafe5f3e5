"""`es-ranking models importance | collisions | choose`: what a model lives on, and which one to take where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.models_run import night_of, run_options, tables_of, trial_of
from cli.models_serving import now, variant_option
from cli.output import emit, output_option, stderr

config_option = click.option(
    "--config", type=click.Path(exists=True, path_type=Path), help="YAML of an experiment: model, fields, training."
)
shelf_option = click.option("--shelf", metavar="K", help="product or banner; without it the file's, else product.")


@click.command("importance")
@config_option
@click.option("--model", metavar="M", help="Kind of model; without it the file's, else the recipe's.")
@shelf_option
@click.option("--repeats", type=click.IntRange(min=2), default=5, show_default=True, help="Shuffles of each field.")
@run_options
@output_option
def importance(
    config: Path | None, model: str | None, shelf: str | None, repeats: int, recipe: str, output: str, **run: Any
) -> None:
    """Shows how much gAUC falls when a field's column is shuffled, with its interval over shuffles.

    The model is trained before the last days before the clock (the recipe's validation days) and judged on them.
    Context fields are neutral at scoring, as in a published rank, and so worth nothing.

    \b
    Example:
      es-ranking models importance --source complete-journey --run-date 2017-11-27 --repeats 3
    """
    from spark_jobs import probe

    trial = trial_of(recipe, config, model=model, shelf=shelf)
    with stderr.status("starting") as status:
        tables = tables_of(night_of("importance", recipe, **run), trial)
        rows = probe.importance(trial, repeats=repeats, on_stage=lambda s: status.update(f"{s} …"), **tables)
    emit(rows, output, title=f"fall of gAUC when a field of {trial.model.kind} is shuffled")


@click.command("collisions")
@config_option
@click.option("--model", metavar="M", help="Kind of model; without it the file's, else the recipe's.")
@shelf_option
@click.option("--hash", "_hash", type=click.Choice(["report"]), default="report", show_default=True,
              help="What to do with the hash ranges.")  # fmt: skip
@click.option("--share", "shares", type=click.FloatRange(min=0, min_open=True), multiple=True,
              default=(1.0, 0.3, 0.1, 0.03, 0.01), show_default=True,
              help="Shares of each field's buckets to try (repeat).")  # fmt: skip
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="PNG; in the run's folder otherwise.")
@run_options
@output_option
def collisions(
    config: Path | None, model: str | None, shelf: str | None, _hash: str, shares: tuple[float, ...], to: Path | None,
    recipe: str, output: str, **run: Any,
) -> None:  # fmt: skip
    """Shows gAUC against parameters as the hash ranges shrink, and how many values then share a row.

    Trained before the last days before the clock and judged on them, once for each share and seed.

    \b
    Example:
      es-ranking models collisions --hash report --share 1 --share 0.1 --source complete-journey --run-date 2017-11-27
    """
    from spark_jobs import probe
    from spark_jobs.reporting.collision_picture import draw

    trial = trial_of(recipe, config, model=model, shelf=shelf)
    with stderr.status("starting") as status:
        night = night_of("collisions", recipe, **run)
        tables = tables_of(night, trial)
        rows = probe.collisions(trial, shares=shares, on_stage=lambda s: status.update(f"{s} …"), **tables)
        path = to or night.folder("reports") / "collisions.png"
        draw(rows, path)
    emit({"picture": str(path), "rows": rows} if output == "json" else rows, output, title=str(path))


@click.command("choose")
@config_option
@click.option("--model", "models", multiple=True, metavar="M", help="Kinds of model to choose from (repeat).")
@shelf_option
@click.option("--by", default="all", show_default=True, metavar="COLUMN",
              help="Column of the examples that names the unit: store, department; or all.")  # fmt: skip
@click.option("--way", "ways", multiple=True, default=("unified", "mixture", "individual"), show_default=True,
              help="One for all, shared with a small part each, one each (repeat).")  # fmt: skip
@click.option("--metric", "metrics", multiple=True, default=("hit_ratio@20", "ndcg@20"), show_default=True,
              help="gauc, or hit_ratio, recall, ndcg, mrr with @k; must all hold (repeat).")  # fmt: skip
@click.option("--fewest", type=click.IntRange(min=1), default=1000, show_default=True,
              help="Units of fewer examples are put together.")  # fmt: skip
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="JSON; in the run's folder otherwise.")
@click.option("--promote", is_flag=True, help="Let the choices serve from the next step `score` on.")
@variant_option
@run_options
@output_option
def choose(
    config: Path | None, models: tuple[str, ...], shelf: str | None, by: str, ways: tuple[str, ...],
    metrics: tuple[str, ...], fewest: int, to: Path | None, promote: bool, variant: str, recipe: str, output: str,
    **run: Any,
) -> None:  # fmt: skip
    """Chooses a model for each store (department, shelf): the simplest that is not shown to be worse than the best.

    Trained before the last days before the clock and judged on them, by expected places in the whole lists; a gap whose
    bootstrap interval over people reaches zero is none. The choice and its evidence are written as JSON. With --promote
    each unit that chose otherwise than the night trains gets a checkpoint at its own level, which scores its items.

    \b
    Example:
      es-ranking models choose --by store --model logistic --model deepfm \\
        --source complete-journey --run-date 2017-11-27
      es-ranking models choose --by department --way unified --way individual --promote \\
        --source complete-journey --run-date 2017-11-27
    """
    from spark_jobs.choose import Serve
    from spark_jobs.choose import run as chosen
    from spark_jobs.experiment_settings import Experiment, Trial
    from spark_jobs.promoted import Promoted
    from spark_jobs.recipe import load_recipe

    trial = trial_of(recipe, config, model=None if models and config else (models or (None,))[0], shelf=shelf)
    experiment, settings = Experiment.read(config) if config else Experiment(), load_recipe(recipe)
    bare = experiment.model_copy(update={"model": {}})
    wanted = {name: Trial.of(bare, settings, model=name, shelf=shelf).model for name in models}
    wanted = wanted or {trial.model.kind: trial.model}
    of_recipe = settings.shelves[trial.shelf]
    trained = of_recipe.model if (trial.schema, trial.training) == (of_recipe.fields, of_recipe.training) else None
    own = next((f"{name}/unified" for name, model in wanted.items() if model == trained), None)
    with stderr.status("starting") as status:
        night = night_of("choose", recipe, **run)
        report = chosen(
            trial,
            wanted,
            **tables_of(night, trial),
            by=by,
            ways=ways,  # type: ignore[arg-type]
            metrics=metrics,
            fewest=fewest,
            to=to or night.folder("reports") / f"choice-{by}.json",
            serve=Serve(Promoted.read(night.work), night.folder("models") / f"by-{by}", own, variant, now())
            if promote
            else None,
            on_stage=lambda stage: status.update(f"{stage} …"),
        )
    if output == "json":
        emit(report, output)
        return
    rows = [
        {
            by: unit,
            "chosen": choice["chosen"],
            "examples": choice["examples"],
            **{metric: choice["evidence"].get(choice["chosen"], {}).get(metric, {}).get("value") for metric in metrics},
            "best": _best(choice, metrics[0]),
            **({"serves": "a checkpoint of its own" if choice["checkpoint"] else "the surface's"} if promote else {}),
        }
        for unit, choice in report["units"].items()
    ]
    emit(rows, output, title=f"the simplest not shown to be worse, by {', '.join(metrics)}")


def _best(choice: dict[str, Any], metric: str) -> str | None:
    evidence = choice["evidence"]
    if not evidence:
        return None
    name = max(evidence, key=lambda entrant: evidence[entrant][metric]["value"])
    return f"{name} {evidence[name][metric]['value']:.4f}"
