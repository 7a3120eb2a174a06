"""What the transport says about an operation before anything of it is read.

Over WebSocket the same words may stand in the payload of `connection_init`, since a browser cannot
set headers on a WebSocket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from gateway.errors import InvalidConsistencyToken
from gateway.http.refusal import Refusal
from gateway.request import Request
from slackwater.errors import InvalidTokenError
from slackwater.events.event import Cause
from slackwater.freshness.token import ConsistencyToken, TokenSigner
from slackwater.ids import new_id

CORRELATION_ID = "Slackwater-Correlation-Id"
CONSISTENCY_TOKEN = "Slackwater-Consistency-Token"  # noqa: S105 - the name of a header
IDEMPOTENCY_KEY = "Idempotency-Key"

_TOKENS_MAX = 16
_CORRELATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


@dataclass(frozen=True, kw_only=True)
class RequestHead:
    """The circumstances of one operation, from its headers."""

    connection: HTTPConnection
    headers: Headers
    cause: Cause
    idempotency_key: str | None
    read_after: ConsistencyToken


RequestFactory = Callable[[RequestHead], Request]


def head_of(
    connection: HTTPConnection, headers: Headers, cause: Cause, signer: TokenSigner
) -> RequestHead:
    """Read the head of an operation.

    Raises:
        InvalidConsistencyToken: a token is broken or forged.
        Refusal: the idempotency key is too long or not printable.
    """
    return RequestHead(
        connection=connection,
        headers=headers,
        cause=cause,
        idempotency_key=_idempotency_key(headers.get(IDEMPOTENCY_KEY)),
        read_after=_read_after(headers.getlist(CONSISTENCY_TOKEN), signer),
    )


def cause_of(headers: Headers) -> Cause:
    """Return the cause that the client names, or a new one; a name that is unfit is not taken."""
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    named = _CORRELATION_ID.fullmatch(headers.get(CORRELATION_ID, ""))
    return Cause(
        correlation_id=named[0] if named else trace[1] if trace else new_id(),
        traceparent=trace[0] if trace else None,
    )


def overlaid(headers: Headers, payload: Mapping[str, object]) -> Headers:
    """Return the headers with what a WebSocket's `connection_init` says in their place."""
    said = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    kept = [(name, value) for name, value in headers.items() if name not in said]
    raw = [(_raw(name), _raw(value)) for name, value in [*kept, *said.items()]]
    return Headers(raw=raw)


def _idempotency_key(text: str | None) -> str | None:
    if text is None:
        return None
    # The header is a structured field: a string in quotes. Many clients leave the quotes out.
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Refusal(f"{IDEMPOTENCY_KEY} is unfit; send 1 to 255 printable ASCII characters")
    return key


def _read_after(lines: list[str], signer: TokenSigner) -> ConsistencyToken:
    texts = [text.strip() for line in lines for text in line.split(",") if text.strip()]
    if len(texts) > _TOKENS_MAX:
        raise InvalidConsistencyToken(f"there are over {_TOKENS_MAX} tokens; send the newest ones")
    try:
        return ConsistencyToken.merged(signer.decode(text) for text in texts)
    except InvalidTokenError as error:
        raise InvalidConsistencyToken(str(error), original_error=error) from error


def _raw(text: str) -> bytes:
    return text.encode("latin-1", "replace")
