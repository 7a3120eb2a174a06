"""Events written straight into the write-ahead log: no table holds them, before or after."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, text

from slackwater.errors import StructuralError
from slackwater.events.event import Event

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)
_EMIT = text("SELECT pg_logical_emit_message(true, :prefix, :content)")


class UnreadableMessageError(StructuralError):
    """A message under our prefix is no event of ours; see who writes such into the log."""


class LogMessages:
    """Implements `Channel`; a message is part of the transaction and comes with its commit."""

    def __init__(self, schema: str) -> None:
        self._prefix = prefix_of(schema)

    def add(self, connection: Connection, event: Event) -> None:
        connection.execute(_EMIT, {"prefix": self._prefix, "content": _encoder.encode(event)})


def prefix_of(schema: str) -> str:
    """Return what tells our messages from those of other services in the same database."""
    return f"slackwater/{schema}"


def decode(content: bytes) -> Event:
    """Return the event of a message.

    Raises:
        UnreadableMessageError: it holds none.
    """
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise UnreadableMessageError(
            f"a message in the log is no event: {error}; see who else writes under our prefix"
        ) from error
