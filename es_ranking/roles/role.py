"""Roles as package resources: who may do what, to the indices of which aliases. Printed, never sent, by us."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from es_ranking.publish.generation import checked_alias
from segments.errors import UsageError

# A new role is a JSON file beside this one and a line here.
ROLES = {
    "publisher": "publishes, rolls back, looks after generations: nightly and hourly jobs, doctor",
    "operator": "what a publisher does, and reindexes",
    "searcher": "searches, pages, explains: the library, the service",
    "merchandiser": "searches, and puts policies and experiments' ratios",
}
_ALIAS = "ALIAS"


def role_body(role: str, aliases: Sequence[str]) -> dict[str, Any]:
    """The body of `PUT /_security/role/<name>`: this role for these published names.

    Raises:
        UsageError: no such role, or not a name for an alias.
    """
    if role not in ROLES:
        raise UsageError.unknown("role", role, ROLES)
    body: dict[str, Any] = json.loads(files(__package__).joinpath(f"{role}.json").read_text(encoding="utf-8"))
    for rule in body["indices"]:
        rule["names"] = [_named(name, checked_alias(alias)) for alias in aliases for name in rule["names"]]
    if "extends" in body:
        least = role_body(body.pop("extends"), aliases)
        body = {part: least[part] + body[part] for part in least}
    return body


def key_body(role: str, aliases: Sequence[str], *, expiration: str | None = None) -> dict[str, Any]:
    """The body of `POST /_security/api_key`: a key that may do what the role may, and nothing that its owner may not.

    Args:
        expiration: such as `90d`; without one the key holds until it is invalidated.

    Raises:
        UsageError: as `role_body`.
    """
    name = "-".join(("es-ranking", role, *aliases))
    body = {"name": name, "role_descriptors": {name: role_body(role, aliases)}}
    return body if expiration is None else {**body, "expiration": expiration}


def _named(name: str, alias: str) -> str:
    # Between slashes stands a regular expression, in which an alias's dot would be any character.
    return name.replace(_ALIAS, re.escape(alias) if name.startswith("/") else alias)
