"""Which client library speaks to which product; each is loaded only where it is used."""

from __future__ import annotations

from es_ranking.engine.transport import PRODUCTS, EngineConfig, Transport
from segments.errors import UsageError


def transport_of(config: EngineConfig) -> Transport:
    """The client that speaks to the configured product.

    Raises:
        UsageError: no such product; MissingExtra: its client is not installed.
    """
    if config.product == "elasticsearch":
        from es_ranking.engine.elasticsearch import ElasticsearchTransport

        return ElasticsearchTransport(config)
    if config.product == "opensearch":
        from es_ranking.engine.opensearch import OpenSearchTransport

        return OpenSearchTransport(config)
    raise UsageError.unknown("search engine", config.product, PRODUCTS)
