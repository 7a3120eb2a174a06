"""The one way by which a database's events leave it, and the change from one to another.

    rows ──► messages ──► going back: what was written so becomes rows ──► rows
      └────────┴──────────────────┴──► row changes

The row of `mined` says the way; where there is none, services write rows. Whoever writes an event
is held to it by its own transaction, so events of two ways never mix, and an instance that follows
another one is refused:

- Rows are refused by a trigger. It comes with a lock that waits for everybody who has written one,
  and it is met whatever a transaction's snapshot shows.
- Messages and changes of rows lock the row of `mined`. A change of the way deletes it, which waits
  for them, and makes those fail whose snapshot still shows it (`slackwater.outbox.mined`).
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql
from sqlalchemy import Connection

from slackwater.database.postgresql_connection import RawConnection
from slackwater.database.postgresql_transaction import driver_of
from slackwater.outbox.publishing import ROWS_REFUSED, Publishing

_TRIGGER = "refuse_rows"
_NOT_BEGUN = "0"
_PRESENT_END = "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
_REFUSE = f"""
CREATE OR REPLACE FUNCTION {_TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'its events are no rows that a service writes'
    USING ERRCODE = '{ROWS_REFUSED}';
END $$;
CREATE OR REPLACE TRIGGER {_TRIGGER} BEFORE INSERT ON {{events}} FOR EACH STATEMENT
    WHEN (current_setting('slackwater.makes_rows', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION {_TRIGGER}();
ALTER TABLE {{events}} ENABLE TRIGGER {_TRIGGER}
"""
_BEGIN = """
INSERT INTO mined (id, way, system, lsn, taken)
SELECT 1, {way}, system_identifier::text, {lsn}, 0 FROM pg_control_system()
"""
_ARE_REFUSED = """
SELECT FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = %s AND tgenabled <> 'D'
"""


def begin_way(connection: RawConnection, way: Publishing, events: str) -> None:
    """Let events be messages, or changes of rows, from now on, and nothing else.

    It waits until every transaction has ended that has written a row. Where messages begin, what is
    read lies behind all that anybody who streams has met; those that were to become rows still go
    on to. Whoever leads is replaced: it may be one that does not read them.
    """
    if _way(connection) == way and are_rows_refused(connection, events):
        return
    with connection.transaction():
        connection.execute("SELECT FROM tick FOR UPDATE")  # as leaders do: the tick before events
        connection.execute(_lock(events))
        connection.execute(sql.SQL(_REFUSE).format(events=sql.Identifier(events)))
        former = _way(connection)
        if former != way:
            _replace(connection, former, way)


def _replace(connection: RawConnection, former: str | None, way: Publishing) -> None:
    if former == Publishing.LOG_OUTBOX and way is Publishing.LOG_MESSAGES:
        connection.execute("UPDATE mined SET way = %s", [way.value])
    else:
        connection.execute("DELETE FROM mined")
        lsn = _PRESENT_END if way is Publishing.LOG_MESSAGES else _NOT_BEGUN
        begin = sql.SQL(_BEGIN).format(way=sql.Literal(way.value), lsn=sql.SQL(lsn))
        connection.execute(begin)
    connection.execute("UPDATE tick SET epoch = epoch + 1")


def open_rows(connection: RawConnection, events: str) -> None:
    """Let services write rows again, unless the database has another way.

    Call it in a transaction, or where nobody changes the way at the same time.
    """
    if _way(connection) is None:
        allow = sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}")
        connection.execute(allow.format(sql.Identifier(events), sql.Identifier(_TRIGGER)))


def are_rows_refused(connection: RawConnection, events: str) -> bool:
    """Tell whether services may write no rows."""
    return connection.execute(_ARE_REFUSED, [events, _TRIGGER]).fetchone() is not None


def open_forgotten_rows(
    connection: Connection, events: str, recount: Callable[[Connection], None]
) -> None:
    """Let services write rows where somebody has deleted what says that they may not.

    Call it first in its transaction: then it sees every change of the way. `recount` comes before
    the first row.
    """
    driver = driver_of(connection)
    driver.execute(_lock(events))
    if _way(driver) is None and are_rows_refused(driver, events):
        recount(connection)
        open_rows(driver, events)


def _way(connection: RawConnection) -> str | None:
    row = connection.execute("SELECT way FROM mined").fetchone()
    return str(row[0]) if row is not None else None


def _lock(events: str) -> sql.Composed:
    lock = sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE")
    return lock.format(sql.Identifier(events))
