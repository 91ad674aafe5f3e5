"""What is wrong here? A list of small checks, each with a verdict and the cure.

A new check is one function and one line in `CHECKS`.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from es_ranking.engine.contract import Engine, IndexState
from es_ranking.engine.jdk import find_java
from es_ranking.engine.redis_node import redis_answers, redis_url
from es_ranking.engine.translate import START_HINT
from es_ranking.engine.transport import PRODUCTS
from es_ranking.experiments.store import ExperimentStore
from es_ranking.policy.fit import check_fields
from es_ranking.policy.store import PolicyStore
from es_ranking.publish.generation import Published, generations, serving, serving_meta
from es_ranking.publish.meta import GenerationMeta
from es_ranking.publish.room import MERGE_ROOM, checked_space
from es_ranking.publish.seal import left_behind
from es_ranking.publish.settings import PublishSettings
from es_ranking.reindex.plan import begun_reindex
from es_ranking.schema import RECOMMENDED, count_fields, mapped_ranks, rank_field
from es_ranking.scripts.store import SCRIPTS
from segments.catalogue import ALL
from segments.errors import RankingError, Refused

_LIBRARIES = ("elasticsearch", "opensearch-py", "pydantic", "numpy", "redis", "pyspark", "torch")
_LEAST_FREE_SHARE = 0.1
_LEFT_BEHIND = {"index.blocks.write": "refuses writes", "index.refresh_interval": "never refreshes"}


@dataclass(frozen=True)
class Finding:
    """One check's result: `ok`, `warning` or `error`; `cure` says what to do."""

    check: str
    state: str
    found: str
    cure: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Patient:
    """What is examined.

    Attributes:
        engine: None when it could not be reached; `trouble` says why.
        aliases: published names to look at.
        now: the time ages are counted to.
        max_age_hours: older serving ranks are an error.
    """

    engine: Engine | None
    trouble: RankingError | None
    aliases: tuple[str, ...]
    now: datetime
    max_age_hours: float


def examine(patient: Patient) -> list[Finding]:
    """Runs every check; one that fails by itself is a finding too."""
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            findings += check(patient)
        except RankingError as error:
            findings.append(Finding(name, "error", error.what, error.hint or ""))
    return findings


def check_versions(_: Patient) -> Iterator[Finding]:
    """Versions of Python and of what stands below us; ours is the package that runs."""
    told = [f"Python {platform.python_version()}"]
    for library in ("es-ranking", *_LIBRARIES):
        try:
            told.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            told.append(f"{library} not installed")
    state = "ok" if sys.version_info >= (3, 11) else "error"
    yield Finding("versions", state, ", ".join(told))
    # `cli` is a common name: another distribution's package of that name would hide our commands.
    spec, ours = importlib.util.find_spec("cli"), Path(__file__).parents[1]
    if spec and spec.origin and Path(spec.origin).parents[1] != ours:
        yield Finding(
            "versions", "error", f"another package named cli hides ours: {spec.origin}", "remove that package"
        )


def check_java(_: Patient) -> Iterator[Finding]:
    """A JDK for the embedded node."""
    java = find_java()
    yield Finding("java", "ok", f"Java {java.release} in {java.home}")


def check_engine(patient: Patient) -> Iterator[Finding]:
    """The engine answers, is healthy and has disk."""
    engine = patient.engine
    if engine is None:
        if patient.trouble is not None:
            yield Finding("engine", "error", patient.trouble.what, patient.trouble.hint or START_HINT)
        return
    number, health = engine.info()["version"]["number"], engine.health()
    state = {"green": "ok", "yellow": "ok"}.get(health, "error")
    yield Finding("engine", state, f"{PRODUCTS[engine.product]} {number} at {engine.url}, {health}")
    disk = engine.disk()
    if disk is not None:
        short = disk.free < _LEAST_FREE_SHARE * disk.total
        told = f"{disk.free / 1e9:,.1f} of {disk.total / 1e9:,.1f} GB free"
        yield Finding("disk", "warning" if short else "ok", told, "remove old generations or indices" if short else "")


def check_redis(_: Patient) -> Iterator[Finding]:
    """The store of recent actions. Without it searches go on without downrank."""
    url = redis_url()
    if url is None:
        yield Finding("redis", "warning", "none configured: searches run without downrank", "set REDIS_URL")
    elif redis_answers(url):
        yield Finding("redis", "ok", f"answers at {url.rpartition('@')[2]}")
    else:
        yield Finding("redis", "error", f"no answer at {url.rpartition('@')[2]}", "start it, or correct REDIS_URL")


def check_scripts(patient: Patient) -> Iterator[Finding]:
    """The stored scripts are there, and are this version's."""
    if patient.engine is None:
        return
    held = {script.id: patient.engine.get_script(script.id) for script in SCRIPTS.values()}
    missing = [name for name, source in held.items() if source is None]
    changed = [s.id for s in SCRIPTS.values() if held[s.id] not in (None, s.source())]
    if changed:
        yield Finding(
            "scripts", "error", f"not this version's text: {', '.join(changed)}", "delete them, publish again"
        )
    elif missing:
        yield Finding("scripts", "warning", f"not stored yet: {', '.join(missing)}", "the next publish stores them")
    else:
        yield Finding("scripts", "ok", ", ".join(sorted(held)))


def check_aliases(patient: Patient) -> Iterator[Finding]:
    """Each alias serves one generation that is young enough, fits its field budget, and left no half ones."""
    for alias in patient.aliases if patient.engine else ():
        assert patient.engine is not None
        found = generations(patient.engine, alias)
        now = serving(patient.engine, alias)
        if now is None:
            yield Finding(f"alias {alias}", "warning", "nothing is published", "es-ranking nightly run")
            continue
        age = now.meta.age_hours(patient.now)
        old = age > patient.max_age_hours
        told = f"{now.generation.id} serves, {age:,.1f} hours old, {now.meta.documents} documents"
        yield Finding(f"alias {alias}", "error" if old else "ok", told, "es-ranking nightly run" if old else "")
        (state,) = patient.engine.indices(now.generation.index)
        fields, limit = count_fields(state.mapping), int(state.settings.get("index.mapping.total_fields.limit", 1000))
        tight = fields > 0.9 * limit
        cure = "raise publish.field_limit or serve fewer segments" if tight else ""
        yield Finding(f"fields {alias}", "warning" if tight else "ok", f"{fields} of {limit}", cure)
        yield _ranks(alias, state, now.meta)
        half = [p.generation.id for p in found if p.half and not p.serving]
        copying = begun_reindex(patient.engine, alias)
        if copying is not None:
            cure = f"es-ranking reindex {alias} --resume, or --abort"
            yield Finding(f"leftovers {alias}", "warning", f"a reindex to {copying.publish.generation} was begun", cure)
        elif half:
            cure = "the next publish removes them; harmless until then"
            yield Finding(f"leftovers {alias}", "warning", f"half-written: {', '.join(half)}", cure)
        for name in left_behind(state):
            # Whoever copies the index closes it for a while.
            busy = bool(half) and name != "index.refresh_interval"
            cure = f"{'unless a publish or reindex is under way: ' if busy else ''}es-ranking doctor {alias} --mend"
            told = f"the serving index {_LEFT_BEHIND[name]}"
            yield Finding(f"settings {alias}", "warning" if busy else "error", told, cure)
        yield from _room(alias, patient.engine, now)


def _ranks(alias: str, state: IndexState, meta: GenerationMeta) -> Finding:
    """The mapping has the rank fields that the generation's own catalogue says, and `recommended` is one of them."""
    fields = state.mapping.get("properties", {})
    mapped = set(mapped_ranks(state.mapping))
    known = {(variant, segment) for variant, segments in meta.rank_fields.items() for segment in segments}
    expected = rank_field(meta.default_variant, ALL)
    wrong = [f"no field {rank_field(*one)}" for one in sorted(known - mapped)]
    wrong += [f"{rank_field(*one)} is of no known segment" for one in sorted(mapped - known)]
    if (path := fields.get(RECOMMENDED, {}).get("path")) != expected:
        wrong.append(f"{RECOMMENDED} is {path}, not {expected}")
    told = f"{len(known)} rank fields, as the catalogue of segments has them"
    cure = "es-ranking rollback, or publish the night again" if wrong else ""
    return Finding(f"ranks {alias}", "error" if wrong else "ok", "; ".join(wrong[:5]) or told, cure)


def _room(alias: str, engine: Engine, now: Published) -> Iterator[Finding]:
    """A generation as large as the one that serves has room beside it: the next publish, or a reindex."""
    needed = round(MERGE_ROOM * engine.size(now.generation.index).bytes)
    try:
        checked_space(engine, needed, PublishSettings())
    except Refused as error:
        yield Finding(f"room {alias}", "warning", f"for the next generation: {error.what}", error.hint or "")
    else:
        yield Finding(f"room {alias}", "ok", f"the next generation may take {needed / 1e6:,.0f} MB while it is written")


def check_policies(patient: Patient) -> Iterator[Finding]:
    """The policy in force can be read, and fits the index that serves now."""
    for alias in patient.aliases if patient.engine else ():
        assert patient.engine is not None
        for latest in PolicyStore(patient.engine, alias).versions(most=1):
            policy = latest.read()
            check_fields(patient.engine, alias, policy)
            told = f"version {latest.version} by {latest.by}, {len(policy.campaigns)} campaigns"
            yield Finding(f"policy {alias}", "ok", told)


def check_experiments(patient: Patient) -> Iterator[Finding]:
    """The experiments in force can be read, and the generation that serves now ranks for their variants."""
    for alias in patient.aliases if patient.engine else ():
        assert patient.engine is not None
        latest = ExperimentStore(patient.engine, alias).latest()
        if latest is None:
            continue
        experiments = latest.read().experiments
        known = serving_meta(patient.engine, alias).rank_fields
        lost = sorted({f"{owner} of {one.name}" for one in experiments for owner in one.owners if owner not in known})
        cure = "es-ranking experiment ratios set, or publish ranks of these variants" if lost else ""
        told = f"not ranked: {', '.join(lost)}" if lost else f"version {latest.version} by {latest.by}"
        yield Finding(
            f"experiments {alias}", "error" if lost else "ok", f"{told}, {len(experiments)} experiments", cure
        )


CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "versions": check_versions,
    "java": check_java,
    "engine": check_engine,
    "redis": check_redis,
    "scripts": check_scripts,
    "aliases": check_aliases,
    "policies": check_policies,
    "experiments": check_experiments,
}
