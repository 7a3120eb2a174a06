"""Connections to Elasticsearch: one client a process, one try a request, within a deadline.

The client never retries by itself: callers know whether a repeat is harmless and how long they
want to wait.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from elastic_transport.client_utils import DEFAULT
from elasticsearch import AsyncElasticsearch

from slackwater.errors import ConfigurationError
from slackwater.read_models.elasticsearch_errors import told_by_kind

_MAJOR_VERSION = "9"


def connect(
    url: str, *, api_key: str | None, ca_certs: str | None, timeout_ms: int
) -> AsyncElasticsearch:
    """Return a client; it connects with its first request.

    Raises:
        ConfigurationError: the URL is none, or there are two ways to authenticate.
    """
    try:
        _require_one_credential(url, api_key)
        return AsyncElasticsearch(
            url,
            api_key=api_key,
            request_timeout=timeout_ms / 1000,
            max_retries=0,
            retry_on_timeout=False,
            ca_certs=DEFAULT if ca_certs is None else ca_certs,
        )
    except ValueError as error:
        raise ConfigurationError(
            f"the search URL or its credentials are invalid: {error}; use http://host:9200, "
            "with user:password@ or an API key, not both"
        ) from None


def _require_one_credential(url: str, api_key: str | None) -> None:
    if api_key is not None and urlsplit(url).username is not None:
        raise ValueError("there are a user and an API key")


async def require_version(client: AsyncElasticsearch) -> None:
    """See that the server is one that this client is made for.

    Raises:
        ConfigurationError: it is another version, or refuses us.
        SearchUnavailableError: it does not answer.
    """
    with told_by_kind("(none)"):
        version = str((await client.info())["version"]["number"])
    if version.partition(".")[0] != _MAJOR_VERSION:
        raise ConfigurationError(
            f"the search server is Elasticsearch {version}; use version {_MAJOR_VERSION}"
        )
