"""A write service over HTTP: commands, queries of its own tables, its tick, and its health.

`POST /commands/<name>` takes the command's fields as JSON and answers `{"result", "tick"}`, the
tick read after the commit had returned; the repeat of an earlier answer also has the `recorded_at`
of that one. Refusals and bad input are problem details with a code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from slackwater.backoff import backoff
from slackwater.clock import Clock
from slackwater.database.port import Database, UnstorableTextError
from slackwater.errors import TransientError, UnknownOutcomeError
from slackwater.events.event import Cause
from slackwater.freshness.tick_answer import TickAnswer
from slackwater.http.health import Problems, health_routes
from slackwater.http.problems import CLIENT_CLOSED_REQUEST, json_response, problem
from slackwater.ids import new_id
from slackwater.logs import bound, logger
from slackwater.outbox.publishing import AnotherWayError
from slackwater.service.commands import Answer, CommandType, execute
from slackwater.service.definition import InvalidQueryError, Query, ServiceDefinition
from slackwater.service.read_after import ConsumedSources
from slackwater.service.settled_ticks import SettledTicks
from slackwater.watermarks.tick import Tick

_BODY_BYTES_MAX = 1_048_576
_KEY_LENGTH_MAX = 255
_READ_AFTER_TIMEOUT_MS = 2_000
_TICK_TRIES = 5
_TICK_FIRST_S = 0.05
_TICK_MAX_S = 0.5

_log = logger("service")


class ServiceApp:
    """Builds the ASGI application of one service."""

    def __init__(
        self,
        service: ServiceDefinition,
        *,
        database: Database,
        clock: Clock,
        ticks: SettledTicks,
        consumed: ConsumedSources,
        committed: Callable[[], None],
        wake_relay: Callable[[], None],
        problems: Problems,
    ) -> None:
        self._service = service
        self._database = database
        self._clock = clock
        self._ticks = ticks
        self._consumed = consumed
        self._committed = committed
        self._wake_relay = wake_relay
        self._commands = {command.name: command for command in service.commands}
        self._queries = {query.name: query for query in service.queries}
        self.asgi = Starlette(
            routes=[
                Route("/commands/{name}", self._command, methods=["POST"]),
                Route("/queries/{name}", self._query),
                Route("/internal/tick", self._tick),
                *health_routes(problems),
            ],
            exception_handlers={
                ClientDisconnect: _nobody_listens,
                UnstorableTextError: _bad_input,
                UnknownOutcomeError: _unknown_outcome,
                TransientError: _unavailable,
                AnotherWayError: _misconfigured,
            },
        )

    async def _command(self, request: Request) -> Response:
        command = self._commands.get(request.path_params["name"])
        if command is None:
            return problem(404, "UNKNOWN_COMMAND", f"known are {', '.join(self._commands)}")
        raw = await _read_body(request)
        if raw is None:
            return problem(413, "BODY_TOO_LARGE", f"send at most {_BODY_BYTES_MAX} bytes")
        try:
            body = msgspec.json.decode(raw, type=command.body)
            read_after = _parse_ticks(request.headers.get("slackwater-read-after", ""))
        except (msgspec.MsgspecError, ValueError) as error:
            return problem(400, "BAD_USER_INPUT", str(error))
        key = request.headers.get("idempotency-key")
        if key is not None and not 0 < len(key) <= _KEY_LENGTH_MAX:
            return problem(400, "BAD_USER_INPUT", f"use a key of 1 to {_KEY_LENGTH_MAX} characters")
        if not await self._consumed.wait_for(read_after, timeout_ms=_READ_AFTER_TIMEOUT_MS):
            return problem(503, "STALE_READ", "the service has not taken in that write yet; repeat")
        return await self._execute(command, body, key, _cause(request, command))

    async def _execute(
        self, command: CommandType, body: msgspec.Struct, key: str | None, cause: Cause
    ) -> Response:
        def work(connection: Connection) -> Answer:
            unit = self._service.unit_of_work(connection, cause=cause, now=self._clock.now())
            return execute(unit, self._service.tables, command, body, key)

        with bound(cause):
            answer = await self._transact(work, can_repeat=key is not None)
            self._committed()
            _log.debug("command", service=self._service.name, command=command.name)
        return self._to_response(answer, await self._tick_after_commit())

    async def _tick_after_commit(self) -> Tick:
        """Read the tick that the client's token holds; trouble now undoes nothing.

        Raises:
            UnknownOutcomeError: it cannot be read in time, and a plain "try again" would do the
                command twice.
        """
        for delay_s in islice(backoff(first_s=_TICK_FIRST_S, max_s=_TICK_MAX_S), _TICK_TRIES):
            try:
                return await self._ticks.current()
            except TransientError as error:
                _log.warning("the tick cannot be read", reason=str(error), in_s=delay_s)
                await asyncio.sleep(delay_s)
        raise UnknownOutcomeError(
            "the command is done and its token cannot be read; look before you repeat it"
        )

    async def _transact(self, work: Callable[[Connection], Answer], *, can_repeat: bool) -> Answer:
        """Run a command; where its key keeps a repeat from doubling it, ask what became of it."""
        try:
            return await self._database.transact(work)
        except UnknownOutcomeError:
            self._committed()
            if not can_repeat:
                raise
        return await self._database.transact(work)

    def _to_response(self, answer: Answer, tick: Tick) -> Response:
        source_tick = {"source": self._service.name, **tick._asdict()}
        content = msgspec.Raw(answer.content)
        if answer.status == 200:
            repeated = {"recorded_at": answer.recorded_at} if answer.recorded_at else {}
            return json_response({"result": content, "tick": source_tick, **repeated})
        refusal = msgspec.json.decode(answer.content)
        return problem(
            answer.status,
            refusal["code"],
            refusal["message"],
            details=refusal["details"],
            tick=source_tick,
        )

    async def _query(self, request: Request) -> Response:
        query = self._queries.get(request.path_params["name"])
        if query is None:
            return problem(404, "UNKNOWN_QUERY", f"known are {', '.join(self._queries)}")
        try:
            found = await self._database.read(_answering(query, dict(request.query_params)))
        except InvalidQueryError as error:
            return problem(400, error.code, str(error))
        if found is None:
            return problem(404, "NOT_FOUND", "there is no such thing")
        return json_response(found)

    async def _tick(self, _: Request) -> Response:
        """Answer, then wake the relay: only a later tick proves anything about this answer."""
        probed = await self._ticks.probed()
        self._wake_relay()
        tick = probed.tick._asdict()
        return json_response(
            TickAnswer(source=self._service.name, **tick, pending_events=probed.waiting)
        )


def _answering(query: Query, parameters: dict[str, str]) -> Callable[[Connection], Any]:
    return lambda connection: query.answer(connection, parameters)


async def _read_body(request: Request) -> bytes | None:
    """Return the body, or None as soon as it is larger than allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES_MAX:
            return None
    return bytes(body)


def _parse_ticks(header: str) -> dict[str, Tick]:
    """Read `source=epoch.n.timeline` pairs, separated by commas."""
    ticks = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        source, _, tick = pair.partition("=")
        ticks[source] = Tick.from_text(tick)
    return ticks


def _cause(request: Request, command: CommandType) -> Cause:
    """Return why the command's events happen: because of the command, by its name and request."""
    request_id = request.headers.get("slackwater-causation-id") or new_id()
    return Cause(
        correlation_id=request.headers.get("slackwater-correlation-id") or new_id(),
        causation_id=f"{command.name}/{request_id}",
        actor=request.headers.get("slackwater-actor"),
        traceparent=request.headers.get("traceparent"),
    )


async def _unavailable(_: Request, error: Exception) -> Response:
    return problem(503, "SOURCE_UNAVAILABLE", str(error), headers={"Retry-After": "1"})


async def _misconfigured(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnotherWayError), "it is registered for that"
    return problem(503, error.code, str(error))


async def _unknown_outcome(_: Request, error: Exception) -> Response:
    # No Retry-After: to repeat it without a key may do it twice.
    return problem(503, "OUTCOME_UNKNOWN", str(error))


async def _nobody_listens(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _bad_input(_: Request, error: Exception) -> Response:
    return problem(400, UnstorableTextError.code, str(error))
