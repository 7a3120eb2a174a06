"""Commands: requests to change state, which may be refused.

A command that comes with an idempotency key has its answer stored in the transaction of its effect.
Sent again after a crash or a lost answer, it changes nothing and gets the first answer, until that
has become too old (`slackwater.service.answers`). A refusal is not stored: it changed nothing, so a
repeat may well be decided anew, when the product is known or the credit is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import insert, select

from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork

_DONE = 200
_REFUSED = 409


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A domain's no: nothing was changed. `code` is a word such as OUT_OF_STOCK."""

    code: str
    message: str
    details: dict[str, Any] = {}


class CommandType(msgspec.Struct, frozen=True, kw_only=True):
    """A command, served as `POST /commands/<name>` with the body's fields as JSON.

    `handle` runs inside a unit of work and returns what to answer (JSON), or a refusal.
    """

    name: str
    body: type[msgspec.Struct]
    handle: Callable[[UnitOfWork, Any], Any]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the client gets: status 200 with a result, or 409 with a refusal.

    `recorded_at` is set on a repeated answer: it says what was true then, not what is true now.
    """

    status: int
    content: bytes
    recorded_at: str | None = None


KEY_REUSED = Refusal(
    code="IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
    message="This idempotency key was used for another request; use a new key.",
)


def execute(
    unit: UnitOfWork,
    tables: KernelTables,
    command: CommandType,
    body: msgspec.Struct,
    idempotency_key: str | None,
) -> Answer:
    """Execute a command once, however often it is sent with the same key."""
    if idempotency_key is None:
        return unit.run(lambda unit: _answer(command.handle(unit, body)))
    fingerprint = hashlib.sha256(command.name.encode() + msgspec.json.encode(body)).hexdigest()
    known = tables.idempotency
    earlier = unit.connection.execute(
        select(known).where(known.c.key == idempotency_key)
    ).one_or_none()
    if earlier is not None:
        if earlier.fingerprint != fingerprint:
            return _answer(KEY_REUSED)
        return Answer(
            status=earlier.status, content=earlier.answer, recorded_at=earlier.recorded_at
        )
    answer = unit.run(lambda unit: _answer(command.handle(unit, body)))
    if answer.status != _DONE:
        return answer
    unit.connection.execute(
        insert(known).values(
            key=idempotency_key,
            fingerprint=fingerprint,
            status=answer.status,
            answer=answer.content,
            recorded_at=unit.now.isoformat(),
        )
    )
    return answer


def _answer(result: Any) -> Answer:
    status = _REFUSED if isinstance(result, Refusal) else _DONE
    return Answer(status=status, content=msgspec.json.encode(result))
