"""Events as messages in PostgreSQL's write-ahead log, in the transaction of their effect.

Such a message is in no table. What reads the log makes a row of it (`slackwater.mining`), so the
content is the row. All databases of a server share one log; the prefix tells the sources apart.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, LargeBinary, Select, Table, bindparam, func, true

from slackwater.errors import StructuralError
from slackwater.events.event import Event
from slackwater.outbox.mined import held_way
from slackwater.outbox.publishing import AnotherWayError, Publishing
from slackwater.outbox.row import to_event, to_row

_PREFIX: Final = "slackwater/"

_encoder = msgspec.msgpack.Encoder()


class UnreadableMessageError(StructuralError):
    """A message in the log is no event that this release knows; run the release that wrote it."""


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of events, before it has a position."""

    id: str
    topic: str
    aggregatetype: str
    aggregateid: str
    version: int
    type: str
    schemaversion: int
    partitionkey: str
    payload: bytes
    recorded_at: str
    correlationid: str
    causationid: str | None = None
    actor: str | None = None
    traceparent: str | None = None


_decoder = msgspec.msgpack.Decoder(_Content)


def prefix_of(schema: str) -> str:
    """Return what the messages of a schema's source begin with."""
    return _PREFIX + schema


def emit_event(connection: Connection, mined: Table, event: Event) -> None:
    """Write an event into the log; it counts when the transaction is committed.

    Raises:
        AnotherWayError: the database's events are no messages.
    """
    content = {"content": _encoder.encode(to_row(event))}
    if connection.execute(_emit(mined), content).first() is None:
        raise AnotherWayError("an event may be no message here")


def read_event(content: bytes, source: str) -> Event:
    """Read an event back.

    Raises:
        UnreadableMessageError: it is none, or of another release.
    """
    try:
        return to_event(_decoder.decode(content), source)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableMessageError(
            f"a message in the log of {source} is no event that this release knows: {error}; "
            "run the release that wrote it"
        ) from error


@cache
def _emit(mined: Table) -> Select[Any]:
    emit = func.pg_logical_emit_message(
        true(),  # it shares the fate of its transaction
        func.concat(_PREFIX, func.current_schema()),
        bindparam("content", type_=LargeBinary),
    )
    return held_way(mined, Publishing.LOG_MESSAGES).with_only_columns(emit)
