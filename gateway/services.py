"""The write services as the gateway sees them: commands and queries over HTTP, with deadlines.

A command is sent once; whether an unanswered one was executed is not known, and the error says how
to find out: by sending it again with the same idempotency key, or else by looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec

from gateway.errors import BadUserInput, IdempotencyKeyMismatch, SourceUnavailable, StaleRead
from slackwater.events.event import Cause
from slackwater.freshness.token import ConsistencyToken
from slackwater.watermarks.tick import Tick

_TIMEOUT_S = 10.0
_CONNECTIONS_MAX = 100
IDLE_S = 5.0
"""Far below what services allow, so that no connection is used as its server closes it."""

_ASK_AGAIN = "try again in a moment"
_REPEAT = "repeat it with the same idempotency key, it is done at most once"
_LOOK = "it may have been done; look before you repeat it, and send an idempotency key next time"


class CommandRefusal(msgspec.Struct, frozen=True):
    """A domain's no."""

    code: str
    message: str
    details: dict[str, Any]


class CommandAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command came to, and the token that demands it from later reads.

    A repeated answer is the one that was given first: of the present it proves nothing.
    """

    result: dict[str, Any] | None
    refusal: CommandRefusal | None
    token: ConsistencyToken
    is_repeated: bool = False


def service_client() -> httpx2.AsyncClient:
    """Return the client that a process keeps for all its calls."""
    limits = httpx2.Limits(
        max_connections=_CONNECTIONS_MAX,
        max_keepalive_connections=_CONNECTIONS_MAX,
        keepalive_expiry=IDLE_S,
    )
    return httpx2.AsyncClient(timeout=_TIMEOUT_S, limits=limits)


class Services:
    """Talks to the services at their addresses."""

    def __init__(self, client: httpx2.AsyncClient, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = urls

    async def command(
        self,
        service: str,
        name: str,
        body: Mapping[str, Any],
        *,
        cause: Cause,
        idempotency_key: str | None = None,
        read_after: ConsistencyToken | None = None,
    ) -> CommandAnswer:
        """Send a command.

        Raises:
            SourceUnavailable: no answer came, or the service cannot answer now.
            StaleRead: the service has not yet taken in what `read_after` demands.
            IdempotencyKeyMismatch: the key was used for another command.
            BadUserInput: the service cannot read the command.
        """
        headers = _headers(cause, idempotency_key, read_after)
        content = msgspec.json.encode(body)
        remedy = _LOOK if idempotency_key is None else _REPEAT
        response = await self._send(
            service, "POST", f"commands/{name}", remedy, headers=headers, content=content
        )
        answer = _decoded(service, response, remedy)
        if response.status_code == httpx2.codes.OK:
            return CommandAnswer(
                result=answer["result"],
                refusal=None,
                token=_token(answer),
                is_repeated="recorded_at" in answer,
            )
        if response.status_code == httpx2.codes.CONFLICT:
            return _refused(answer)
        raise _failed(service, answer, remedy)

    async def query(self, service: str, name: str, **parameters: str) -> Any:
        """Ask a service for its own truth; None where there is nothing.

        Raises:
            SourceUnavailable: no answer came, or the service cannot answer now.
            BadUserInput: the service cannot use the parameters.
        """
        response = await self._send(
            service, "GET", f"queries/{name}", _ASK_AGAIN, params=parameters
        )
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        answer = _decoded(service, response, _ASK_AGAIN)
        if response.status_code == httpx2.codes.OK:
            return answer
        raise _failed(service, answer, _ASK_AGAIN)

    async def _send(
        self, service: str, method: str, path: str, remedy: str, **options: Any
    ) -> httpx2.Response:
        url = f"{self._urls[service]}/{path}"
        try:
            return await self._client.request(method, url, **options)
        except httpx2.HTTPError as error:
            raise SourceUnavailable(
                f"the {service} service {_trouble(error, remedy)}",
                extensions={"source": service},
                original_error=error,
            ) from error


def _trouble(error: httpx2.HTTPError, remedy: str) -> str:
    """Return what went wrong with a request, and what to do: what was never sent was not done."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return f"cannot be reached; nothing was sent; {_ASK_AGAIN}"
    if isinstance(error, httpx2.PoolTimeout):
        return f"has too many requests of this gateway open; nothing was sent; {_ASK_AGAIN}"
    if isinstance(error, httpx2.TimeoutException):
        return f"does not answer within {_TIMEOUT_S:g} s; {remedy}"
    return f"broke the connection off; {remedy}"


def _headers(
    cause: Cause, idempotency_key: str | None, read_after: ConsistencyToken | None
) -> dict[str, str]:
    demanded = ",".join(f"{source}={tick.to_text()}" for source, tick in _ticks(read_after))
    values = {
        "Content-Type": "application/json",
        "Slackwater-Correlation-Id": cause.correlation_id,
        "Slackwater-Causation-Id": cause.causation_id,
        "Slackwater-Actor": cause.actor,
        "traceparent": cause.traceparent,
        "Idempotency-Key": idempotency_key,
        "Slackwater-Read-After": demanded or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _ticks(token: ConsistencyToken | None) -> list[tuple[str, Tick]]:
    return sorted(token.ticks.items()) if token is not None else []


def _decoded(service: str, response: httpx2.Response, remedy: str) -> Any:
    try:
        return msgspec.json.decode(response.content)
    except msgspec.MsgspecError as error:
        raise SourceUnavailable(
            f"the {service} service gave no answer that can be read; {remedy}",
            extensions={"source": service},
            original_error=error,
        ) from error


def _token(answer: Mapping[str, Any]) -> ConsistencyToken:
    tick = answer["tick"]
    tick_made = Tick(tick["epoch"], tick["n"], tick["timeline"])
    return ConsistencyToken(ticks={tick["source"]: tick_made})


def _refused(answer: Mapping[str, Any]) -> CommandAnswer:
    if answer["code"] == IdempotencyKeyMismatch.code:
        raise IdempotencyKeyMismatch
    refusal = CommandRefusal(answer["code"], answer["detail"], answer["details"])
    return CommandAnswer(result=None, refusal=refusal, token=_token(answer))


def _failed(service: str, answer: Mapping[str, Any], remedy: str) -> Exception:
    """Return the error that says what a service's problem means to a client."""
    detail = f"{service}: {answer.get('detail', 'no reason given')}"
    if answer.get("code") == StaleRead.code:
        return StaleRead(detail, extensions={"source": service})
    if answer.get("code") == BadUserInput.code:
        return BadUserInput(detail)
    return SourceUnavailable(f"{detail}; {remedy}", extensions={"source": service})
