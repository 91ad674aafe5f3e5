"""`es-ranking templates`: the mapping of what serves, for indices that owners make themselves."""

from __future__ import annotations

import json

import click

from es_ranking.engine.connect import connect
from es_ranking.templates import component_template, index_template


@click.group(name="templates")
def group() -> None:
    """Component and index templates for indices of your own."""


@group.command(name="component")
@click.argument("alias")
def component(alias: str) -> None:
    """Print fields and analysers of what serves under ALIAS as a component template, as JSON; nothing is sent.

    \b
    Example:
      es-ranking templates component products |
        curl -X PUT "$ES_URL/_component_template/es-ranking-products" -H 'content-type: application/json' -d @-
    """
    click.echo(json.dumps(component_template(connect(), alias), indent=2))


@group.command(name="index")
@click.argument("alias")
@click.option("--pattern", "patterns", multiple=True, required=True, metavar="P", help="Names of the indices (repeat).")
def index(alias: str, patterns: tuple[str, ...]) -> None:
    """Print an index template that gives new indices the component template of ALIAS, as JSON; nothing is sent.

    \b
    Example:
      es-ranking templates index products --pattern 'staging-*' |
        curl -X PUT "$ES_URL/_index_template/staging" -H 'content-type: application/json' -d @-
    """
    click.echo(json.dumps(index_template(connect(), alias, patterns), indent=2))
