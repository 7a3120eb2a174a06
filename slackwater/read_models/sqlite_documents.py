"""Documents as JSON rows in an SQLite file, written in one transaction with their progress.

Rows, guards, fences and positions are compared and changed in one transaction that holds the
file's only write lock: two projectors that overlap after a rebalance cannot overwrite each other.
The file does not wait for the disk: what a power failure takes, it takes of rows and progress
together, and those events are folded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from slackwater.doorbell import Doorbell
from slackwater.errors import ConflictError
from slackwater.read_models.documents import (
    Collection,
    Condition,
    DocumentStoreCapability,
    Find,
    Row,
    RowWrite,
    TakenValueError,
    UnknownCollectionError,
    UnstorableDocumentError,
)
from slackwater.read_models.progress import ProgressUpdate
from slackwater.read_models.sqlite_find import (
    Statement,
    count_statement,
    create_statements,
    page_statement,
    table,
)
from slackwater.read_models.sqlite_progress import SqliteProgressStore, advance
from slackwater.sqlite.driver import (
    Connection,
    IntegrityError,
    Synchronous,
    WrongStorageError,
)
from slackwater.sqlite.file import SqliteFile

T = TypeVar("T")

_FIND_TABLE = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"


class SqliteDocumentStore:
    """A document store in one file; several processes may have it open at once."""

    capabilities: frozenset[DocumentStoreCapability] = frozenset()

    def __init__(self, path: Path, doorbell: Doorbell) -> None:
        self._file = SqliteFile(path, Synchronous.NORMAL)
        self._progress = SqliteProgressStore(self._file, doorbell)

    @property
    def progress(self) -> SqliteProgressStore:
        return self._progress

    async def prepare(self, collections: Sequence[Collection]) -> None:
        await self._progress.create_tables()
        await self._file.write(lambda connection: _prepare(connection, collections))

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Row]:
        statement = _get_statement(collection, ids)
        rows = await self._read(collection, lambda connection: _rows(connection, statement))
        return {row.id: row for row in rows}

    async def find(self, query: Find) -> list[Row]:
        statement = page_statement(query)
        return await self._read(query.collection, lambda connection: _rows(connection, statement))

    async def count(self, collection: str, where: Sequence[Condition] = ()) -> int:
        statement = count_statement(collection, where)
        return await self._read(collection, lambda connection: _count(connection, statement))

    async def require(self, collection: str) -> None:
        name = table(collection)
        if not await self._file.read(lambda connection: _exists(connection, name)):
            raise UnknownCollectionError(collection)

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        """Write all rows and the progress, or nothing.

        Raises:
            FencedError: a partition of the progress was claimed by somebody else.
            ConflictError: a row is not at its expected revision.
            TakenValueError: a unique index refuses a row.
        """
        await self._progress.create_tables()
        guarded = [(row, _guarded_statement(row)) for row in rows]

        def work(connection: Connection) -> None:
            # Fences first: a projector that was replaced must stop and not try again.
            advance(connection, progress)
            for row, statement in guarded:
                _write(connection, row, statement)

        await self._file.write(work)
        self._progress.announce()

    async def drop(self, collections: Sequence[str]) -> None:
        statements = [f"DROP TABLE IF EXISTS {table(collection)}" for collection in collections]
        await self._file.write(lambda connection: _execute_all(connection, statements))

    async def close(self) -> None:
        self._progress.close()
        await self._file.close()

    async def _read(self, collection: str, work: Callable[[Connection], T]) -> T:
        try:
            return await self._file.read(work)
        except WrongStorageError:
            await self.require(collection)
            raise


def _prepare(connection: Connection, collections: Sequence[Collection]) -> None:
    for collection in collections:
        _execute_all(connection, create_statements(collection))


def _execute_all(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _exists(connection: Connection, name: str) -> bool:
    return bool(connection.execute(_FIND_TABLE, (name,)).fetchall())


def _get_statement(collection: str, ids: Sequence[str]) -> Statement:
    # One parameter for any number of ids: one prepared statement, and no limit on their number.
    return Statement(
        f"SELECT id, version, revision, document FROM {table(collection)} "  # noqa: S608
        "WHERE id IN (SELECT value FROM json_each(?))",
        (orjson.dumps(list(ids)).decode(),),
    )


def _guarded_statement(row: RowWrite) -> Statement:
    document = _json(row)
    if row.expected_revision == 0:
        return Statement(
            f"INSERT INTO {table(row.collection)} (id, version, revision, document) "  # noqa: S608
            "VALUES (?, ?, 1, ?) ON CONFLICT (id) DO NOTHING",
            (row.id, row.version, document),
        )
    return Statement(
        f"UPDATE {table(row.collection)} "  # noqa: S608
        "SET version = ?, revision = revision + 1, document = ? WHERE id = ? AND revision = ?",
        (row.version, document, row.id, row.expected_revision),
    )


def _json(row: RowWrite) -> str:
    try:
        return orjson.dumps(row.document).decode()
    except TypeError as error:
        raise UnstorableDocumentError(row, error) from error


def _write(connection: Connection, row: RowWrite, statement: Statement) -> None:
    try:
        written = connection.execute(*statement).rowcount
    except IntegrityError as error:
        raise TakenValueError(
            f"row {row.id} of {row.collection} repeats a unique value: {error}; mend its source"
        ) from error
    if written == 0:
        raise ConflictError(
            f"row {row.id} of {row.collection} is not at revision {row.expected_revision}; "
            "load it anew and fold again"
        )


def _rows(connection: Connection, statement: Statement) -> list[Row]:
    return [_row(*found) for found in connection.execute(*statement)]


def _row(id: str, version: int, revision: int, document: str, *_keys: Any) -> Row:  # noqa: A002
    return Row(id=id, version=version, revision=revision, document=orjson.loads(document))


def _count(connection: Connection, statement: Statement) -> int:
    [(count,)] = connection.execute(*statement)
    return int(count)
