"""Where policies are kept: `<alias>-policy`, one document a version."""

from __future__ import annotations

from es_ranking.policy.changes import changes
from es_ranking.policy.document import Policy
from es_ranking.versions.store import Kind, VersionStore


class PolicyStore(VersionStore[Policy]):
    """The policies of one alias."""

    kind = Kind("policy", Policy, changes, hint="es-ranking policy history")
