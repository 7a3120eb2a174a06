"""What a mined change tells: an event, found where the service's channel has left it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple, Protocol

from slackwater.event_log.port import NewRecord
from slackwater.mining.messages import decode, prefix_of
from slackwater.mining.pgoutput import Change, LogicalMessage, Message
from slackwater.mining.slot import Published
from slackwater.outbox.channel import Publishing
from slackwater.outbox.row import to_event
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unpublished import to_record


class Mined(NamedTuple):
    """An event as a record, with its row's position in the table of events if it has one."""

    record: NewRecord
    position: int | None


class Reading(Protocol):
    """One way of finding events in the log."""

    @property
    def published(self) -> list[Published]:
        """The tables whose changes it needs to see."""
        ...

    @property
    def has_rows(self) -> bool:
        """Whether a table keeps the events, so that what the log has lost can be found there."""
        ...

    def read(self, message: Message) -> Mined | None: ...


class OutboxRows:
    """Events are rows that were inserted into the table of events."""

    has_rows = True

    def __init__(self, source: str, tables: KernelTables) -> None:
        self._source = source
        self._table = tables.events.name
        self.published = [Published(self._table, ("insert",))]

    def read(self, message: Message) -> Mined | None:
        if not isinstance(message, Change) or message.table != self._table or not message.new:
            return None
        row = SimpleNamespace(**message.new)
        return Mined(to_record(to_event(row, self._source)), row.position)


class Messages:
    """Events are messages in the log itself."""

    has_rows = False

    def __init__(self, schema: str) -> None:
        self._prefix = prefix_of(schema)
        self.published: list[Published] = []

    def read(self, message: Message) -> Mined | None:
        if not isinstance(message, LogicalMessage) or message.prefix != self._prefix:
            return None
        return Mined(to_record(decode(message.content)), None)


def reading_of(
    publishing: Publishing, *, source: str, schema: str, tables: KernelTables
) -> Reading:
    """Return how events are found that a channel of this kind has left."""
    if publishing is Publishing.LOG_MESSAGES:
        return Messages(schema)
    return OutboxRows(source, tables)
