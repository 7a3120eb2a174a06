"""What a mined change tells: an event, as a row that was inserted into the table of events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

from slackwater.errors import StructuralError
from slackwater.event_log.port import NewRecord
from slackwater.mining.pgoutput import Change, Message
from slackwater.outbox.row import to_event
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unpublished import to_record
from slackwater.watermarks.tick import Tick


class ChangedTableError(StructuralError):
    """The log has rows of the table as it was before; drop the slot, the table has them all."""


class Mined(NamedTuple):
    """An event as a record, with its row's position in the table of events."""

    position: int
    record: NewRecord


class Reading:
    """Finds the events and ticks of one source among the changes of its schema."""

    def __init__(self, source: str, schema: str, tables: KernelTables) -> None:
        self._source = source
        self._events = schema, tables.events.name
        self._ticks = schema, tables.tick.name

    def event(self, message: Message) -> Mined | None:
        """Return the event that a change tells, None where it tells none.

        Raises:
            ChangedTableError: a column is missing.
        """
        if not isinstance(message, Change) or message.new is None:
            return None
        if message.kind != "I" or (message.schema, message.table) != self._events:
            return None
        try:
            event = to_event(SimpleNamespace(**message.new), self._source)
        except AttributeError as error:
            raise ChangedTableError(
                f"a row in the log lacks a column ({error}): the table has changed since; drop the "
                "slot with pg_drop_replication_slot, then rows are published from their table"
            ) from error
        return Mined(message.new["position"], to_record(event))

    def tick(self, message: Message) -> Tick | None:
        """Return the tick as a change has left it, None where it is about something else."""
        if not isinstance(message, Change) or message.new is None:
            return None
        if (message.schema, message.table) != self._ticks:
            return None
        row = message.new
        return Tick(row["epoch"], row["n"], row["timeline"])
