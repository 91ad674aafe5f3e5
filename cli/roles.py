"""`es-ranking roles`: what each of our users of the engine must be allowed."""

from __future__ import annotations

import json

import click

from es_ranking.roles import ROLES, key_body, role_body


@click.group(name="roles")
def group() -> None:
    """Least-privilege roles and API keys for publishing, searching and deciding policies."""


@group.command(name="show")
@click.argument("role", type=click.Choice(sorted(ROLES)))
@click.option("--alias", "aliases", multiple=True, required=True, metavar="NAME", help="Published name (repeat).")
@click.option("--api-key", is_flag=True, help="The body of an API key with this role, instead of the role itself.")
@click.option("--expires", metavar="TIME", help="With --api-key: how long it holds, such as 90d; for ever otherwise.")
def show(role: str, aliases: tuple[str, ...], api_key: bool, expires: str | None) -> None:
    """Print a role, or an API key's body, as JSON for the engine's security API; nothing is sent.

    \b
    Example:
      es-ranking roles show publisher --alias products --alias banners
      es-ranking roles show searcher --alias products --api-key --expires 90d |
        curl --cacert ca.pem -u admin "$ES_URL/_security/api_key" -H 'content-type: application/json' -d @-
    """
    body = key_body(role, aliases, expiration=expires) if api_key else role_body(role, aliases)
    click.echo(json.dumps(body, indent=2))
