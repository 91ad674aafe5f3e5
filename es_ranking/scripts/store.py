"""The stored scripts: versioned ids, put when missing, never silently different from the package's text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.resources import files
from weakref import WeakSet

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import EngineDenied
from segments.errors import ContractBroken

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredScript:
    """A Painless script of this package. A change of meaning is a new version, so that old callers keep theirs."""

    name: str
    version: int

    @property
    def id(self) -> str:
        """Its id in the engine's cluster state, `es-ranking-downrank-v1`."""
        return f"es-ranking-{self.name}-v{self.version}"

    def source(self) -> str:
        """The text of the package resource."""
        return files(__package__).joinpath(f"{self.name}.painless").read_text(encoding="utf-8")


ATTRIBUTES = StoredScript("attributes", 1)
BOOSTS = StoredScript("boosts", 1)
DOWNRANK = StoredScript("downrank", 1)
INTERVAL = StoredScript("interval", 1)
_ensured: WeakSet[Engine] = WeakSet()
SCRIPTS = {script.name: script for script in (ATTRIBUTES, BOOSTS, DOWNRANK, INTERVAL)}


def put_scripts(engine: Engine) -> list[str]:
    """Stores the scripts the engine lacks; returns their ids (empty when all were there).

    Raises:
        ContractBroken: the engine holds another text under one of our ids.
    """
    stored = []
    for script in SCRIPTS.values():
        held = engine.get_script(script.id)
        if held is None:
            engine.put_script(script.id, script.source())
            stored.append(script.id)
        elif held != script.source():
            raise ContractBroken(
                f"the stored script {script.id} is not this version's text",
                where=engine.url,
                hint=f"delete it (DELETE _scripts/{script.id}) once no other version of es-ranking uses it",
            )
    return stored


def ensure_scripts(engine: Engine) -> None:
    """`put_scripts`, once for each engine of this process. A role that may only search relies on the publisher's."""
    if engine in _ensured:
        return
    try:
        put_scripts(engine)
    except EngineDenied as error:
        log.info("cannot look after the stored scripts: %s", error)
    _ensured.add(engine)
