"""What mined changes and messages tell of one source: events, rows that changed, ticks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

from slackwater.errors import StructuralError
from slackwater.event_log.port import NewRecord
from slackwater.events.event import Event
from slackwater.mining.mapping import ChangeKind, MappedTable, RowChange, RowMapping
from slackwater.mining.pgoutput import UNCHANGED, Change, LogMessage, Message, Truncation
from slackwater.outbox.log_message import prefix_of, read_event
from slackwater.outbox.row import to_event
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unpublished import to_record
from slackwater.watermarks.tick import Tick

_KINDS = {"I": ChangeKind.INSERTED, "U": ChangeKind.UPDATED, "D": ChangeKind.DELETED}


class ChangedTableError(StructuralError):
    """The log has rows of the table as it was before; drop the slot, the tables have them all."""


class TruncatedTableError(StructuralError):
    """A table was emptied at once, which says nothing of its rows; drop the slot to begin anew."""


class Mined(NamedTuple):
    """An event as a record, with its row's position in the table of events."""

    position: int
    record: NewRecord


class Reading:
    """Finds what concerns one source in what the log brings of its database."""

    def __init__(
        self,
        source: str,
        schema: str,
        tables: KernelTables,
        *,
        sees_rows: bool = True,
        mapping: RowMapping | None = None,
    ) -> None:
        self.sees_rows = sees_rows
        """Whether events are rows that services insert into the table of events."""
        self._source = source
        self._schema = schema
        self._events = schema, tables.events.name
        self._ticks = schema, tables.tick.name
        self._prefix = prefix_of(schema)
        mapped = mapping.tables if mapping is not None else ()
        self._mapped = {(schema, each.table.name): each for each in mapped}

    def event(self, message: Message) -> Mined | None:
        """Return the event that an inserted row is, None where it tells none.

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

    def emitted(self, message: Message) -> Event | None:
        """Return the event that a message of the source is, None where it is none of it.

        Raises:
            UnreadableMessageError: it cannot be read.
        """
        if not isinstance(message, LogMessage) or message.prefix != self._prefix:
            return None
        if self.sees_rows:
            return None  # it became a row before any service wrote one
        return read_event(message.content, self._source)

    def change(self, message: Message) -> RowChange | None:
        """Return the change of a mapped row, None where it is about something else.

        Raises:
            ChangedTableError: a column is missing, or what the row was before.
            TruncatedTableError: the table was emptied at once.
        """
        if isinstance(message, Truncation):
            self._refuse_truncation(message)
        if not isinstance(message, Change):
            return None
        mapped = self._mapped.get((message.schema, message.table))
        return None if mapped is None else _row_change(mapped, message)

    def tick(self, message: Message) -> Tick | None:
        """Return the tick as a change has left it, None where it is about something else."""
        if not isinstance(message, Change) or message.new is None:
            return None
        if (message.schema, message.table) != self._ticks:
            return None
        row = message.new
        return Tick(row["epoch"], row["n"], row["timeline"])

    def _refuse_truncation(self, message: Truncation) -> None:
        for table in message.tables:
            if table in self._mapped:
                raise TruncatedTableError(
                    f"{table[1]} was emptied by TRUNCATE, which says nothing of its rows: delete "
                    "rows with DELETE; drop the slot with pg_drop_replication_slot to begin a new "
                    "timeline with the rows that there are"
                )


def _row_change(mapped: MappedTable, change: Change) -> RowChange:
    old, new = change.old, change.new
    whole = old if mapped.whole_rows else None  # else it is the former key alone
    if whole is not None and new is not None and UNCHANGED in new.values():
        new = {name: whole[name] if new[name] is UNCHANGED else new[name] for name in new}
    for row in (old, new):
        if row is not None and not mapped.columns <= row.keys():
            raise _changed(mapped, f"lacks {', '.join(sorted(mapped.columns - row.keys()))}")
    if mapped.whole_rows and old is None and change.kind != "I":
        raise _changed(mapped, "does not say what it was before")
    return RowChange(_KINDS[change.kind], change.table, old, new)


def _changed(mapped: MappedTable, what: str) -> ChangedTableError:
    return ChangedTableError(
        f"a row of {mapped.table.name} in the log {what}: the table or its REPLICA IDENTITY has "
        "changed; drop the slot with pg_drop_replication_slot to begin a new timeline with the "
        "rows that there are"
    )


def row_of(values: dict[str, Any], table: str) -> RowChange:
    """Return a row that there is as if it had just been inserted."""
    return RowChange(ChangeKind.INSERTED, table, None, values)
