"""What is wrong here? A list of small checks, each with a verdict and the cure.

A new check is one function and one line in `CHECKS`.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.engine.jdk import find_java
from es_ranking.engine.redis_node import redis_answers, redis_url
from es_ranking.engine.transport import PRODUCTS
from es_ranking.policy.fit import check_fields
from es_ranking.policy.store import PolicyStore
from es_ranking.publish.generation import generations, serving
from es_ranking.schema import count_fields
from es_ranking.scripts.store import SCRIPTS
from segments.errors import RankingError

_LIBRARIES = ("elasticsearch", "opensearch-py", "pydantic", "numpy", "redis", "pyspark", "torch")
_LEAST_FREE_SHARE = 0.1


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
    trouble: str
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
        yield Finding("engine", "error", patient.trouble, "es-ranking node start, or set ES_URL")
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
        age = (patient.now - _instant(now.meta.as_of)).total_seconds() / 3600
        old = age > patient.max_age_hours
        told = f"{now.generation.id} serves, {age:,.1f} hours old, {now.meta.documents} documents"
        yield Finding(f"alias {alias}", "error" if old else "ok", told, "es-ranking nightly run" if old else "")
        (state,) = patient.engine.indices(now.generation.index)
        fields, limit = count_fields(state.mapping), int(state.settings.get("index.mapping.total_fields.limit", 1000))
        tight = fields > 0.9 * limit
        cure = "raise publish.field_limit or serve fewer segments" if tight else ""
        yield Finding(f"fields {alias}", "warning" if tight else "ok", f"{fields} of {limit}", cure)
        half = [p.generation.id for p in found if p.half and not p.serving]
        if half:
            cure = "the next publish removes them; harmless until then"
            yield Finding(f"leftovers {alias}", "warning", f"half-written: {', '.join(half)}", cure)
        if state.settings.get("index.refresh_interval") == "-1":
            yield Finding(f"settings {alias}", "error", "the serving index never refreshes", "publish again")


def check_policies(patient: Patient) -> Iterator[Finding]:
    """The policy in force can be read, and fits the index that serves now."""
    for alias in patient.aliases if patient.engine else ():
        assert patient.engine is not None
        for latest in PolicyStore(patient.engine, alias).versions(most=1):
            policy = latest.read()
            check_fields(patient.engine, alias, policy)
            told = f"version {latest.version} by {latest.by}, {len(policy.campaigns)} campaigns"
            yield Finding(f"policy {alias}", "ok", told)


def _instant(text: str) -> datetime:
    clock = datetime.fromisoformat(text)
    return clock.replace(tzinfo=UTC) if clock.tzinfo is None else clock


CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "versions": check_versions,
    "java": check_java,
    "engine": check_engine,
    "redis": check_redis,
    "scripts": check_scripts,
    "aliases": check_aliases,
    "policies": check_policies,
}
