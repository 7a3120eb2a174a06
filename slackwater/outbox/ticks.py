"""The tick of a source: a counter in its database that its leading relay raises.

Whoever takes a new epoch fences off every relay before: a tick is raised only in one's own epoch.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, insert, select, update

from slackwater.errors import FencedError
from slackwater.watermarks.tick import Tick


def current_tick(connection: Connection, table: Table) -> Tick:
    """Return the tick as this snapshot shows it; (0, 0) before any relay has started."""
    row = connection.execute(select(table.c.epoch, table.c.n)).one_or_none()
    return Tick(row.epoch, row.n) if row is not None else Tick(0, 0)


def take_epoch(connection: Connection, table: Table) -> int:
    """Begin a new epoch and return it; every older relay's next tick fails from here on."""
    if current_tick(connection, table) == (0, 0):
        connection.execute(insert(table).values(id=1, epoch=0, n=0))
    connection.execute(update(table).values(epoch=table.c.epoch + 1))
    return current_tick(connection, table).epoch


def raise_tick(connection: Connection, table: Table, epoch: int) -> Tick:
    """Count the tick up by one.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    raised = connection.execute(
        update(table).where(table.c.epoch == epoch).values(n=table.c.n + 1)
    ).rowcount
    if not raised:
        raise FencedError(f"another relay leads since epoch {epoch}; this one stops")
    return current_tick(connection, table)


def require_epoch(connection: Connection, table: Table, epoch: int) -> None:
    """Check that nobody else has taken over, as this snapshot shows it.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    if current_tick(connection, table).epoch != epoch:
        raise FencedError(f"another relay leads since epoch {epoch}; this one stops")


def hold_epoch(connection: Connection, table: Table, epoch: int) -> None:
    """Check that nobody else has taken over, and let nobody do so before the commit.

    Without the lock, marks could be committed after a successor had begun, by a transaction whose
    snapshot is older.

    Raises:
        FencedError: another relay has taken a newer epoch.
    """
    connection.execute(select(table.c.id).with_for_update(read=True)).all()
    require_epoch(connection, table, epoch)
