"""Connections to SQLite files with the pragmas that our guarantees rest on.

Files are written by several processes at once, so SQLite must be 3.51.3 or newer: earlier versions
have a race in resetting the write-ahead log that can corrupt such a file. The driver brings its own
SQLite because operating systems ship older ones.
"""

from __future__ import annotations

import sqlite3
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pysqlite3 import dbapi2 as dbapi2

from slackwater.errors import StructuralError, TransientError

if TYPE_CHECKING:
    Connection = sqlite3.Connection
else:
    Connection = dbapi2.Connection

OperationalError = cast("type[sqlite3.OperationalError]", dbapi2.OperationalError)
DatabaseError = cast("type[sqlite3.DatabaseError]", dbapi2.DatabaseError)
IntegrityError = cast("type[sqlite3.IntegrityError]", dbapi2.IntegrityError)

VERSION_MIN = (3, 51, 3)
_BUSY_TIMEOUT_MS = 10_000
_LOOK_INTERVAL_S = 0.005


class Synchronous(StrEnum):
    """Whether a commit waits for the disk: FULL does; NORMAL may lose the newest on power loss."""

    FULL = "FULL"
    NORMAL = "NORMAL"


class OldSqliteError(StructuralError):
    """The driver carries an SQLite that can corrupt shared files; install pysqlite3 0.6.1."""


# Whatever else SQLite calls operational (no such table, a syntax error) no retry mends.
_PASSING = frozenset(
    getattr(dbapi2, f"SQLITE_{name}")
    for name in ("BUSY", "LOCKED", "FULL", "IOERR", "CANTOPEN", "NOMEM", "PROTOCOL", "READONLY")
)
_PRIMARY_CODE = 0xFF


class StorageError(TransientError):
    """The file cannot be used now (disk full, locked, failing); free room and try again."""


class WrongStorageError(StructuralError):
    """The file is not what this version expects; use the right folder, or migrate it."""


def storage_error_of(error: BaseException) -> StorageError | WrongStorageError | None:
    """Tell trouble of the file (disk full, locked, other tables) from a command's own errors."""
    cause = getattr(error, "orig", error)  # SQLAlchemy wraps it
    if not isinstance(cause, OperationalError):
        return None
    if cause.sqlite_errorcode & _PRIMARY_CODE in _PASSING:
        return StorageError(f"the database cannot be used: {cause}; free room and try again")
    return WrongStorageError(
        f"the database is not what this version expects: {cause}; "
        "use the folder of this version, or migrate it"
    )


def is_busy(error: BaseException) -> bool:
    """Tell that somebody else has the file locked."""
    return (
        isinstance(error, OperationalError)
        and error.sqlite_errorcode & _PRIMARY_CODE == dbapi2.SQLITE_BUSY
    )


def connect(path: Path, synchronous: Synchronous = Synchronous.FULL) -> Connection:
    """Open a file in write-ahead mode and in autocommit; transactions are begun by hand.

    Raises:
        OldSqliteError: the driver's SQLite is older than 3.51.3.
    """
    if dbapi2.sqlite_version_info < VERSION_MIN:
        raise OldSqliteError(
            f"SQLite {dbapi2.sqlite_version} can corrupt files shared by processes; "
            "install pysqlite3 0.6.1 or newer"
        )
    connection = dbapi2.connect(
        str(path), isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_MS / 1000
    )
    _write_ahead(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    return cast("Connection", connection)


def _write_ahead(connection: Connection) -> None:
    """Enter write-ahead mode; SQLite does not wait by itself for others that enter it, too."""
    deadline_s = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(_LOOK_INTERVAL_S)
        else:
            return
