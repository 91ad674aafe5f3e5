"""`es-ranking serve`: the door for front ends in any language."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from cli.output import stderr
from segments.errors import RankingError


@click.command(name="serve")
@click.argument("indices", nargs=-1, required=True, metavar="INDEX...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8090, show_default=True, help="Port to listen on.")
@click.option("--surface", "surfaces", multiple=True, metavar="NAME",
              help="Surfaces that may be asked for: names or YAML files (repeat); the first is the default one.  "
              "Without it: search, category, banners.")  # fmt: skip
@click.option("--events", type=click.Path(file_okay=False), metavar="DIR",
              help="Write /_events there, as JSON lines for the source `files`.")  # fmt: skip
@click.option("--roll-seconds", type=click.FloatRange(min=1), default=300.0, show_default=True,
              help="A file of events is finished when it is this old.")  # fmt: skip
@click.option("--roll-mb", type=click.IntRange(min=1), default=64, show_default=True,
              help="A file of events is finished when it is this long.")  # fmt: skip
@click.option("--exposures", type=click.Path(dir_okay=False), metavar="FILE",
              help="Append what is shown, as JSON lines.")  # fmt: skip
@click.option("--text-floor", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="Typed text: share of the best hit's relevance that a hit needs; 0: none.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0.05), default=5.0, show_default=True,
              help="Seconds a request may take.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), default=16, show_default=True, help="Requests at once.")
@click.option("--waiting", type=click.IntRange(min=0), default=64, show_default=True,
              help="Requests that may wait for a thread; more are answered 503.")  # fmt: skip
@click.option("--body-kb", type=click.IntRange(min=1), default=1024, show_default=True, help="Longest body.")
@click.option("--deepest", type=click.IntRange(min=1), default=10_000, show_default=True,
              help="Last place of a list that may be asked for.")  # fmt: skip
@click.option("--events-at-once", type=click.IntRange(min=1), default=1000, show_default=True,
              help="Most events of one request.")  # fmt: skip
def command(
    indices: tuple[str, ...], host: str, port: int, surfaces: tuple[str, ...], events: str | None,
    roll_seconds: float, roll_mb: int, exposures: str | None, text_floor: float, timeout: float, threads: int,
    waiting: int, body_kb: int, deepest: int, events_at_once: int,
) -> None:  # fmt: skip
    """Answer the engine's own _search over HTTP, recommended where it is asked for.

    \b
    Example:
      es-ranking serve products --events /data/events
      curl -H 'x-es-ranking-user: 2375' localhost:8090/products/_search -d '{"sort": "recommended"}' \\
           -H 'content-type: application/json'
    """
    import uvicorn

    from es_ranking.actions.connect import connect_actions
    from es_ranking.engine.connect import config_of, connect
    from es_ranking.experiments.live import LiveExperiments
    from es_ranking.policy.live import LivePolicies
    from es_ranking.query.exposures import JsonLinesExposureLog
    from es_ranking.serve.app import build_app
    from es_ranking.serve.event_log import EventLog
    from es_ranking.serve.passing import HttpPassing
    from es_ranking.serve.pool import Pool
    from es_ranking.serve.service import Service
    from es_ranking.serve.settings import ServeSettings
    from es_ranking.tastes.connect import connect_tastes
    from es_ranking.twiddlers.settings import load_surface

    loaded = [load_surface(name) for name in surfaces or ("search", "category", "banners")]
    settings = ServeSettings(
        indices=indices,
        surface=loaded[0].name,
        text_floor=text_floor,
        body_bytes=body_kb << 10,
        deepest=deepest,
        events_at_once=events_at_once,
        threads=threads,
        waiting=waiting,
        timeout_seconds=timeout,
    )
    engine = connect(opaque_id="es-ranking-serve", timeout_seconds=timeout)
    config = config_of(opaque_id="es-ranking-serve", timeout_seconds=timeout)
    passing = HttpPassing(config, connections=threads)
    service = Service(
        settings=settings,
        engine=engine,
        passing=passing,
        surfaces={one.name: one for one in loaded},
        pool=Pool(threads=threads, waiting=waiting, timeout_seconds=timeout),
        actions=connect_actions(),
        tastes=connect_tastes(),
        policies=LivePolicies(engine),
        experiments=LiveExperiments(engine),
        exposures=JsonLinesExposureLog(Path(exposures)) if exposures else None,
        events=EventLog(events, roll_seconds=roll_seconds, roll_bytes=roll_mb << 20) if events else None,
    )
    stderr.print(f"serving {', '.join(indices)} on http://{host}:{port}", style="dim")
    try:
        # our own lines instead of uvicorn's: those would carry users and cursors
        uvicorn.run(
            build_app(service), host=host, port=port, log_config=None, access_log=False, server_header=False
        )  # fmt: skip
    finally:
        with suppress(RankingError):
            passing.close()
            engine.close()
