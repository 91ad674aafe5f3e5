"""Templates for indices that owners make themselves: with them such an index maps its fields as what serves does.

Without one, an index that is filled by hand (for tests of queries, another shop, a staging cluster) gets `float` where
ranks are `double`, and texts where filters need keywords. Printed, never sent, by us.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import served
from es_ranking.publish.meta import META
from segments.errors import UsageError

# A segment that is not known yet has a rank, too: as precise as the others.
_RANKS = {"ranks": {"path_match": "rank.*.*", "match_mapping_type": "*", "mapping": {"type": "double"}}}
# Above the engine's own templates (100), below what an owner means in earnest.
_PRIORITY = 150


def component_name(alias: str) -> str:
    """The name under which the index template looks for the component."""
    return f"es-ranking-{alias}"


def component_template(engine: Engine, alias: str) -> dict[str, Any]:
    """The body of `PUT /_component_template/es-ranking-<alias>`: fields, analysers and field limit of what serves.

    Raises:
        IndexMissing: nothing is published under the alias.
    """
    now = served(engine, alias)
    (state,) = engine.indices(now.generation.index)
    settings = {
        name: value for name, value in state.settings.items() if name.startswith(("index.analysis.", "index.mapping."))
    }
    mapping = {"dynamic_templates": [_RANKS], "properties": state.mapping["properties"]}
    return {"template": {"settings": settings, "mappings": mapping}, "_meta": {META: {"generation": now.generation.id}}}


def index_template(engine: Engine, alias: str, patterns: Sequence[str]) -> dict[str, Any]:
    """The body of `PUT /_index_template/<name>`: new indices of these names get the component.

    Raises:
        IndexMissing: as above.
        UsageError: a pattern is that of generations, which have a mapping of their own.
    """
    now = served(engine, alias)
    for pattern in patterns:
        if any(fnmatchcase(index, pattern) for index in now.generation.indices.values()):
            raise UsageError(f"generations have names like {pattern!r}, too", where="--pattern",
                             hint="name the indices that you make yourself")  # fmt: skip
    return {"index_patterns": list(patterns), "composed_of": [component_name(alias)], "priority": _PRIORITY}
