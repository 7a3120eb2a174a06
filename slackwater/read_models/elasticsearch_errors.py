"""What Elasticsearch and its client say when something fails, told by kind.

Trouble that passes is transient; a set-up that somebody must mend is structural. What is not known
is structural: to halt visibly is better than to try for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from elastic_transport import ApiError, TlsError, TransportError
from elasticsearch import UnsupportedProductError

from slackwater.errors import (
    ConfigurationError,
    SlackwaterError,
    StructuralError,
    TransientError,
)
from slackwater.read_models.search import PartialResultError, UnknownIndexError

_OVERLOADED = 429
_SERVER_FAILED = 500
_REFUSED = (401, 403)
_SEARCH_FAILED = "search_phase_execution_exception"
_SNAPSHOT_GONE = "search_context_missing_exception"
_BLOCKED = "cluster_block_exception"
_SET_UP_BY_HAND = ("security_exception", "media_type_header_exception")


class SearchUnavailableError(TransientError):
    """Elasticsearch cannot be reached or is overloaded; wait for it, or look after it."""


class Failure(NamedTuple):
    """One failed request or item of a bulk, as Elasticsearch reports it."""

    status: int
    type: str
    reason: str
    in_search: bool = False

    @property
    def passes(self) -> bool:
        """Whether it does so by itself, or when somebody takes back a block that was set.

        A point in time goes with the copy in which it was opened; the next try opens another.
        """
        if self.type in (_BLOCKED, _SNAPSHOT_GONE):
            return True
        return self.status == _OVERLOADED or self.status >= _SERVER_FAILED


@contextmanager
def told_by_kind(index: str) -> Iterator[None]:
    """Turn the errors of the client into ours."""
    try:
        yield
    except UnsupportedProductError as error:
        raise ConfigurationError(
            "what answers at the search URL is not Elasticsearch 9; mend the URL"
        ) from error
    except ApiError as error:
        raise _reply_error(index, error) from error
    except TlsError as error:
        raise ConfigurationError(
            f"Elasticsearch's certificate is refused ({error.message}); mend it or ca_certs"
        ) from error
    except TransportError as error:
        raise SearchUnavailableError(
            f"Elasticsearch does not answer ({error.message}); see that it runs and try again"
        ) from error


def _reply_error(index: str, error: ApiError) -> SlackwaterError:
    failed = failure_of(error)
    if failed.passes and failed.in_search:
        return PartialResultError(index, f"{failed.type}: {failed.reason}")
    return error_of(index, failed)


def failure_of(error: ApiError) -> Failure:
    """Return what the reply says of its error; proxies in between send other bodies."""
    found = error.body.get("error") if isinstance(error.body, Mapping) else None
    return failure(error.meta.status, found)


def failure(status: int, error: Any) -> Failure:
    """Read the `error` of a reply or of one item in it."""
    if not isinstance(error, Mapping):
        return Failure(status, "unknown", str(error))
    causes = error.get("root_cause") or [error]
    cause = causes[0] if isinstance(causes[0], Mapping) else error
    return Failure(
        status,
        type=str(cause.get("type") or error.get("type")),
        reason=str(cause.get("reason") or error.get("reason")),
        in_search=error.get("type") == _SEARCH_FAILED,
    )


def error_of(index: str, failed: Failure) -> SlackwaterError:
    """Return our error for a failed request."""
    said = f"{failed.type}: {failed.reason}"
    if failed.type == "index_not_found_exception":
        return UnknownIndexError(index)
    if (failed.status in _REFUSED and not failed.passes) or failed.type in _SET_UP_BY_HAND:
        return ConfigurationError(
            f"Elasticsearch refuses us ({said}); mend the user or API key in the settings, "
            "or use a server of version 9"
        )
    if failed.passes:
        return SearchUnavailableError(f"Elasticsearch cannot do it now ({said}); try again")
    return StructuralError(
        f"Elasticsearch refuses a request on search index {index} ({said}); "
        "mend its set-up, or drop the index and rebuild it"
    )


def require_whole(index: str, reply: Mapping[str, Any]) -> None:
    """Refuse a reply that does not cover the whole index.

    Raises:
        PartialResultError: shards failed or were left out, or time was up.
    """
    shards = reply["_shards"]
    if reply.get("timed_out"):
        raise PartialResultError(index, "time was up")
    if reply.get("terminated_early"):
        raise PartialResultError(index, "it stopped early")
    if shards["failed"] or shards["successful"] < max(1, shards["total"]):
        raise PartialResultError(
            index, f"{shards['successful']} of {shards['total']} shards, {shards['failed']} failed"
        )
