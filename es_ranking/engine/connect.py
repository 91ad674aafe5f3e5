"""The one way to an engine: `connect()`."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from es_ranking.engine.contract import Engine
from es_ranking.engine.elasticsearch import ElasticsearchTransport
from es_ranking.engine.places import node_folder
from es_ranking.engine.rest import RestEngine
from es_ranking.engine.state import NodeState
from es_ranking.engine.translate import START_HINT, translated
from es_ranking.engine.transport import JSON, EngineConfig, NoAnswer, Request
from segments.errors import EngineUnreachable, UsageError

# The client warns of every failed try with its whole stack; we raise one error that says what to do.
logging.getLogger("elastic_transport.transport").setLevel(logging.ERROR)


def connect(url: str | None = None, *, opaque_id: str = "es-ranking", timeout_seconds: float = 30.0) -> Engine:
    """An engine that answers: of `url`, else `ES_URL`, else `ELASTICSEARCH_URL`, else the running embedded node.

    Whether it is Elasticsearch or OpenSearch it says itself; the client is chosen accordingly.

    Credentials come from `ES_API_KEY`, or `ES_USERNAME` and `ES_PASSWORD`; `ES_CA_CERTS` names the certificates that
    the server's must be signed by. TLS certificates are always verified.

    Raises:
        EngineUnreachable: nothing is configured, it does not answer, or its certificate is not trusted.
        UsageError: the URL, a credential or the file of certificates cannot be meant.
        EngineDenied: the credentials are wrong.
        MissingExtra: an OpenSearch answers, and its client is not installed.
    """
    config = config_of(url, opaque_id=opaque_id, timeout_seconds=timeout_seconds)
    return RestEngine(replace(config, product=product_at(config)))


def config_of(url: str | None = None, *, opaque_id: str = "es-ranking", timeout_seconds: float = 30.0) -> EngineConfig:
    """What `url` and the environment say, before anybody was asked who listens there."""
    found = _checked(url or os.environ.get("ES_URL") or os.environ.get("ELASTICSEARCH_URL") or _embedded())
    return EngineConfig(
        url=found,
        api_key=_api_key(),
        username=os.environ.get("ES_USERNAME"),
        password=os.environ.get("ES_PASSWORD"),
        # The client would not take certificates for a connection without TLS.
        ca_certs=_certificates() if found.startswith("https:") else None,
        timeout_seconds=timeout_seconds,
        opaque_id=opaque_id,
    )


def product_at(config: EngineConfig) -> str:
    """Who listens there: `elasticsearch` or `opensearch`, told by the answer to `/`.

    Raises:
        EngineUnreachable: nobody answers, or something that is no search engine; EngineDenied: as `connect`.
    """
    transport = ElasticsearchTransport(config)
    try:
        reply = transport.greeting(Request("GET", "/", {**JSON, **config.headers()}, config.timeout_seconds))
    except NoAnswer as error:
        raise translated(None, error, config.url) from error
    finally:
        transport.close()
    if reply.status >= 300:
        raise translated(reply.status, reply.body, config.url)
    version = reply.body.get("version") if isinstance(reply.body, dict) else None
    if not isinstance(version, dict) or "number" not in version:
        raise EngineUnreachable("what answers there is neither Elasticsearch nor OpenSearch", where=config.url)
    return "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError("the engine's URL must look like http://host:9200", where="ES_URL")
    if parts.username or parts.password:
        raise UsageError(
            "the engine's URL carries credentials, which would end in logs",
            where="ES_URL",
            hint="set ES_USERNAME and ES_PASSWORD, or ES_API_KEY",
        )
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"the engine's URL has no valid port: {error}", where="ES_URL") from error
    # The client wants the port spelled out.
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 9200)}{parts.path.rstrip('/')}"


def _api_key() -> str | None:
    """Without the line feed that a secret read from a file ends with."""
    key = os.environ.get("ES_API_KEY", "").strip()
    if not (key.isascii() and key.isprintable()):
        # the client would quote it in its complaint
        raise UsageError("the API key has characters that no header can carry", where="ES_API_KEY")
    return key or None


def _certificates() -> str | None:
    file = os.environ.get("ES_CA_CERTS") or None
    if file is not None:
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:
            raise UsageError(
                f"no certificates can be read there: {error.strerror or error}",
                where=f"ES_CA_CERTS={file}",
                hint="a PEM file of the authority that signed the server's certificate",
            ) from error
    return file


def _embedded(folder: Path | None = None) -> str:
    state = NodeState.read(folder or node_folder())
    if state is None or not state.running():
        raise EngineUnreachable("no search engine is configured and the embedded node does not run", hint=START_HINT)
    return state.url
