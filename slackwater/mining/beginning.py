"""Where the reading of a log begins, and whether it can go on there.

    no position, messages ──► make the slot, and put the position at the log's present end
    no position, or lost, changed rows ──► make the slot, and the history anew from all rows
    lost, messages ──► the source begins a timeline in which nothing is claimed; halt

A position is lost when the slot is gone, or has let the server forget more than has become rows; or
when the database is another server's, whose log counts from elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, delete

from slackwater.database.postgresql_connection import RawConnection
from slackwater.database.postgresql_transaction import driver_of
from slackwater.errors import StructuralError
from slackwater.mining.mapping import RowMapping
from slackwater.mining.slot import Slot
from slackwater.mining.snapshot import Snapshot
from slackwater.mining.way import begin_way
from slackwater.outbox.lineage import Rewriting
from slackwater.outbox.mined import (
    MinedState,
    Position,
    Versions,
    begin_position,
    insert_events,
    lose,
)
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.removal import forget_removed
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unpublished import mark_all_unpublished

_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"


class LostEventsError(StructuralError):
    """Events were lost with the log that held them; the message says what can be done."""


def begin_messages(connection: RawConnection, slot: Slot, events: str) -> None:
    """Make sure that whatever is written into the log from now on will be read, and nothing else.

    Call it before the first message is written.

    Raises:
        UnminableError: the log cannot be mined; the message says what is to be done.
    """
    if connection.execute("SELECT FROM mined").fetchone() is None:
        slot.make(connection)
    begin_way(connection, Publishing.LOG_MESSAGES, events)


def why_lost(connection: Connection, state: MinedState, slot: Slot) -> str | None:
    """Say why the log cannot be read on from a position; None where it can."""
    driver = driver_of(connection)
    if system_of(driver) != state.system:
        return "the database is on another server now"
    if not slot.is_behind(driver, state.position.lsn):
        return f"the replication slot {slot.name} was lost, or made anew"
    if not slot.has_publications(driver):
        return f"a publication that the replication slot {slot.name} needs was dropped"
    if state.way is Publishing.ROW_CHANGES and not slot.is_ready(driver):
        return f"the publications of the replication slot {slot.name} were changed"
    return None


def forsaking(tables: KernelTables, reason: str) -> Rewriting:
    """Return what ends the timeline: its read models prove nothing more, and nothing is claimed."""

    def work(connection: Connection) -> None:
        mark_all_unpublished(connection, tables.events)
        lose(connection, tables.mined, reason)

    return Rewriting(f"events were lost: {reason}", work, needs_history=True)


def lost_events(reason: str) -> LostEventsError:
    """Return what a relay halts with as long as nobody has seen to it."""
    return LostEventsError(
        f"events are lost that were only in the log: {reason}. Stop the service and restore it, or "
        "insert what is missing into its table of events, in a session that has set "
        "slackwater.makes_rows = on; then delete the row of its table mined: "
        "all is published again, and its read models can be rebuilt"
    )


def history_of(
    snapshot: Snapshot, mapping: RowMapping, source: str, tables: KernelTables, reason: str
) -> Rewriting:
    """Return what makes the whole history anew from the rows that there are."""

    def work(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.execute(delete(tables.events))
        if tables.removal is not None:
            forget_removed(connection, tables.removal.removed)
        versions, now = Versions(tables.events), datetime.now(UTC)
        for changes in snapshot.changes(mapping):
            events = versions.count(connection, mapping.events(source, changes, now))
            insert_events(connection, tables.events, events)
            versions.remember(events)
        system = system_of(driver_of(connection))
        state = MinedState(Publishing.ROW_CHANGES, system, Position(snapshot.lsn))
        begin_position(connection, tables.mined, state)

    return Rewriting(reason, work)


def system_of(connection: RawConnection) -> str:
    """Return the name that the server has given to itself, and to its log."""
    row = connection.execute(_SYSTEM.encode()).fetchone()
    assert row is not None, "the function has one row"
    return str(row[0])
