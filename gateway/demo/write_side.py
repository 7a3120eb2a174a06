"""The write side as the demo uses it: commands with idempotency keys, and queries.

A command is repeated until it is answered: what is unreachable or overloaded now comes back. Its
key makes the repetition harmless. A refusal is an answer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from contracts.documents.orders import OrderDocument
from slackwater.backoff import backoff
from slackwater.errors import StructuralError, TransientError

ORDERS_A_QUERY = 100

_TIMEOUT_S = 10.0
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 5.0
_REASON_LENGTH_MAX = 120
_CONNECTIONS_MAX = 64
_PASSING = (httpx2.codes.REQUEST_TIMEOUT, httpx2.codes.TOO_MANY_REQUESTS)


class UnansweredError(TransientError):
    """A service did not answer in time; look whether it runs, and try again."""


class UnexpectedAnswerError(StructuralError):
    """A service does not understand the demo's requests; run both from one version."""


class Tick(msgspec.Struct, frozen=True):
    """Where a service stood after a command."""

    source: str
    epoch: int
    n: int
    timeline: str

    def as_read_after(self) -> str:
        return f"{self.source}={self.epoch}.{self.n}.{self.timeline}"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A service's answer to a command: a result, or the code of a refusal (result is None then)."""

    result: Any = None
    code: str | None = None
    tick: Tick | None = None


class WriteSide:
    """Sends commands and queries to the services at `urls`.

    `waiting_for` says in words whom it waits for at the moment, None while all answer.
    """

    def __init__(self, urls: Mapping[str, str], *, patience_s: float = math.inf) -> None:
        """Try each request for so many seconds; by default for ever."""
        self._urls = urls
        self._patience_s = patience_s
        self._troubles: dict[str, str] = {}
        self._http = httpx2.AsyncClient(
            timeout=_TIMEOUT_S, limits=httpx2.Limits(max_connections=_CONNECTIONS_MAX)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    @property
    def waiting_for(self) -> str | None:
        troubles = [f"{service} ({trouble})" for service, trouble in self._troubles.items()]
        return " and ".join(troubles) or None

    async def command(
        self,
        service: str,
        name: str,
        body: Mapping[str, Any],
        *,
        key: str,
        read_after: Tick | None = None,
    ) -> Answered:
        """Send a command until it is answered; `read_after` is what its service must have seen.

        Raises:
            UnansweredError: it was not answered within the patience.
            UnexpectedAnswerError: the service does not know such a command.
        """
        headers = {"Idempotency-Key": key}
        if read_after is not None:
            headers["Slackwater-Read-After"] = read_after.as_read_after()
        response = await self._send(
            service, "POST", f"/commands/{name}", json=dict(body), headers=headers
        )
        return msgspec.json.decode(response.content, type=Answered)

    async def query(self, service: str, name: str, **parameters: str) -> Any:
        """Return what a query finds, None where there is nothing.

        Raises:
            UnansweredError: it was not answered within the patience.
            UnexpectedAnswerError: the service does not know such a query.
        """
        response = await self._send(service, "GET", f"/queries/{name}", params=parameters)
        return msgspec.json.decode(response.content) if response.is_success else None

    async def orders(self, order_ids: Sequence[str]) -> list[OrderDocument]:
        """Return those orders that exist; ask for at most a hundred."""
        found = await self.query("orders", "orders", ids=",".join(order_ids))
        return msgspec.convert(found or [], list[OrderDocument])

    async def _send(self, service: str, method: str, path: str, **request: Any) -> httpx2.Response:
        give_up_s = time.monotonic() + self._patience_s
        for delay_s in backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S):
            answer = await self._attempt(method, self._urls[service] + path, request)
            if isinstance(answer, httpx2.Response):
                self._troubles.pop(service, None)
                return answer
            self._troubles[service] = answer
            if time.monotonic() + delay_s > give_up_s:
                raise UnansweredError(f"{service} does not answer ({answer}); is it running?")
            await asyncio.sleep(delay_s)
        raise AssertionError("the backoff never ends")

    async def _attempt(
        self, method: str, url: str, request: dict[str, Any]
    ) -> httpx2.Response | str:
        """Return the response, or in words why there is none to use."""
        try:
            response = await self._http.request(method, url, **request)
        except httpx2.TransportError as error:
            return type(error).__name__
        status = response.status_code
        if response.is_success or status == httpx2.codes.CONFLICT:
            return response
        if status == httpx2.codes.NOT_FOUND and _code(response) == "NOT_FOUND":
            return response
        if status >= httpx2.codes.INTERNAL_SERVER_ERROR or status in _PASSING:
            return f"{status} {_code(response)}".strip()
        text = response.text[:_REASON_LENGTH_MAX]
        raise UnexpectedAnswerError(f"{url} answers {status}: {text}; run both from one version")


def _code(response: httpx2.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content, type=_Problem).code)
    except msgspec.MsgspecError:
        return ""


class _Problem(msgspec.Struct):
    code: str
