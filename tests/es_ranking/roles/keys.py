"""API keys of our roles on a secured node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from es_ranking.engine.clients import transport_of
from es_ranking.engine.transport import JSON, EngineConfig, Reply, Request
from es_ranking.roles import key_body


def ask(access: EngineConfig, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
    """One request to the engine's own API."""
    transport = transport_of(access)
    try:
        return transport.send(Request(method, path, {**JSON, **access.headers()}, 30.0, {}, body))
    finally:
        transport.close()


def key_of(admin: EngineConfig, role: str, *aliases: str, without: tuple[str, ...] = ()) -> EngineConfig:
    """Access by a new key of the role.

    Args:
        without: path of one privilege to leave out, such as `("cluster", "cluster:monitor/main")` or
            `("indices", "0", "read")`.
    """
    body = key_body(role, aliases)
    if without:
        (descriptor,) = body["role_descriptors"].values()
        held = (
            descriptor["cluster"] if without[0] == "cluster" else descriptor["indices"][int(without[1])]["privileges"]
        )
        held.remove(without[-1])
        descriptor["indices"] = [rule for rule in descriptor["indices"] if rule["privileges"]]
    told = ask(admin, "POST", "/_security/api_key", body)
    assert told.status == 200, told.body
    return replace(admin, username=None, password=None, api_key=told.body["encoded"])
