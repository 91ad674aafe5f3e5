"""The policy as searches see it."""

from __future__ import annotations

from typing import TypeAlias

from es_ranking.policy.document import Policy
from es_ranking.policy.store import PolicyStore
from es_ranking.versions.live import Documents, Given, LiveDocuments

UNAVAILABLE = "policy_unavailable"
NOTHING = Policy()
Policies: TypeAlias = Documents[Policy]
GivenPolicy = Given[Policy]


class LivePolicies(LiveDocuments[Policy]):
    """Policies of an engine, remembered for a short time."""

    store = PolicyStore
