"""The indices of a generation that is begun, empty or as copies of those that serve."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineRejected
from es_ranking.publish.generation import WRITING, users_alias, why_alias
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.seal import open_to_writes

log = logging.getLogger("es_ranking.publish")
_TRIES = 3


def create(engine: Engine, plan: PublishPlan) -> None:
    """The three indices of the plan, and the one that tells what served when it began.

    Raises:
        Conflict: one of them exists.
    """
    # The main index first: it is what tells that a generation exists, so its side indices are never orphans.
    _index(engine, plan, plan.alias)
    with ThreadPoolExecutor(thread_name_prefix="create") as beside:
        made = [beside.submit(_index, engine, plan, name) for name in (why_alias(plan.alias), users_alias(plan.alias))]
        if plan.was:
            # The copy is nobody's yet: copying that one keeps no owner out.
            source = plan.generation if plan.alias in plan.clones else str(plan.replaces)
            loading = {"index.number_of_replicas": 0, "index.refresh_interval": "-1"}
            body = {"settings": loading, "aliases": {plan.was + WRITING: {}}}
            made.append(beside.submit(_clone, engine, source, plan.was, body))
    for one in made:
        one.result()


def _index(engine: Engine, plan: PublishPlan, alias: str) -> None:
    index = plan.indices[alias]
    body = {**plan.bodies[alias], "aliases": {index + WRITING: {}}}
    if alias in plan.clones:
        _clone(engine, plan.clones[alias], index, body)
        engine.put_mapping(index, {"_meta": body["mappings"]["_meta"]})
    else:
        engine.create_index(index, body)


def _clone(engine: Engine, source: str, index: str, body: Mapping[str, Any]) -> None:
    """Owners who write into the source are refused as long as it takes, which does not grow with the documents."""
    # A copy has as many shards as what it is copied from.
    settings = {name: value for name, value in body["settings"].items() if name != "index.number_of_shards"}
    for left in reversed(range(_TRIES)):
        began = time.perf_counter()
        try:
            engine.close_to_writes(source)
            engine.clone_index(source, index, {"settings": settings, "aliases": body["aliases"]})
        except EngineRejected as error:
            # Somebody else has let writers in just then.
            if not left or "index.blocks.write" not in error.what:
                raise
        else:
            return
        finally:
            open_to_writes(engine, source)
            log.info("%s was copied; owners were kept out of it for %.3f s", source, time.perf_counter() - began)
