"""The least that each of our users of the engine must be allowed: roles and API keys, as the engine takes them."""

from es_ranking.roles.role import ROLES, key_body, role_body

__all__ = ["ROLES", "key_body", "role_body"]
