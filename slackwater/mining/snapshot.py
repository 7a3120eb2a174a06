"""The rows of a source as they were at a place in its log: where inferring begins.

    make a slot, which names a snapshot ──► read every mapped row in that ──► mine from the slot
                 └── what was committed before is in the snapshot, the rest is in the stream

Nothing is missing between the two, and nothing comes twice. The rows are read in bounded batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import Query
from psycopg.rows import dict_row

from slackwater.database.port import DatabaseError
from slackwater.database.postgresql_connection import RawConnection, connect
from slackwater.mining.mapping import MappedTable, RowChange, RowMapping
from slackwater.mining.pgoutput import TEXTS
from slackwater.mining.reading import row_of
from slackwater.mining.replication import make_slot
from slackwater.mining.slot import PLUGIN, allowed

_BATCH = 500
_READING_TIMEOUT = "1h"
_WAITING = {"lock_timeout": "0", "statement_timeout": "0"}  # a transaction may take its time
_SETTINGS = {
    **TEXTS,
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": _READING_TIMEOUT,
}


class Snapshot:
    """All rows at `lsn`; close it."""

    def __init__(self, connection: RawConnection, schema: str, lsn: int) -> None:
        self._connection = connection
        self._schema = schema
        self.lsn = lsn

    def changes(self, mapping: RowMapping) -> Iterator[list[RowChange]]:
        """Yield every row of the mapped tables, batch after batch; may be called again."""
        self._do("CLOSE ALL")
        for mapped in mapping.tables:
            yield from self._rows(mapped)

    def close(self) -> None:
        self._connection.close()

    def _rows(self, mapped: MappedTable) -> Iterator[list[RowChange]]:
        name = mapped.table.name
        columns = sql.SQL(", ").join(map(sql.Identifier, sorted(mapped.columns)))
        declare = "DECLARE rows_of NO SCROLL CURSOR FOR SELECT {} FROM {}"
        table = sql.Identifier(self._schema, name)
        self._do(sql.SQL(declare).format(columns, table))
        while rows := self._do(f"FETCH {_BATCH} FROM rows_of".encode()):
            yield [row_of(row, name) for row in rows]
        self._do("CLOSE rows_of")

    def _do(self, statement: Query) -> list[dict[str, Any]]:
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                done = cursor.execute(statement)
                return done.fetchall() if done.description is not None else []
        except psycopg.OperationalError as error:
            raise DatabaseError(f"the snapshot has ended: {error}; take another") from error


class SnapshotTaking:
    """Makes a slot, and opens the snapshot of all that lies before what the slot will bring."""

    def __init__(self, url: str, *, schema: str, slot: str) -> None:
        self._url = url
        self._schema = schema
        self._slot = slot
        self._name = f"slackwater snapshot {schema}"
        self._making: RawConnection | None = None

    def take(self) -> Snapshot:
        """Wait until every transaction has ended that is open now, on a thread.

        Raises:
            DatabaseError: the slot is there already, cannot be made now, or was given up.
            UnminableError: it cannot be made; the message says what is to be done.
        """
        self._making = connect(self._url, name=self._name, settings=_WAITING, replication=True)
        try:
            with allowed():
                made = make_slot(self._making, self._slot, PLUGIN)
            return Snapshot(self._read(made.snapshot), self._schema, made.lsn)
        except psycopg.Error as error:
            raise DatabaseError(f"no slot was made: {error}; see the server's log") from error
        finally:
            self._making.close()

    def give_up(self) -> None:
        """Let `take` end, from another thread."""
        if self._making is not None and not self._making.closed:
            with suppress(psycopg.Error):
                self._making.cancel()

    def _read(self, snapshot: str) -> RawConnection:
        reading = connect(self._url, name=self._name, settings=_SETTINGS)
        try:
            reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            literal = sql.Literal(snapshot)
            reading.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(literal))
        except BaseException:
            reading.close()
            raise
        return reading
