"""One transaction on PostgreSQL, and what became of it.

BEGIN ──► work ──► COMMIT ──► durable
  │         │         └── connection lost: nobody knows; `UnknownOutcomeError`
  └─────────┴── connection lost: nothing has happened; `DatabaseError`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import psycopg
from sqlalchemy import Connection

from slackwater.database.port import DatabaseError
from slackwater.database.postgresql_connection import RawConnection, is_lost
from slackwater.errors import SlackwaterError, UnknownOutcomeError

T = TypeVar("T")

WRITE = "BEGIN ISOLATION LEVEL REPEATABLE READ"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class StaleConnectionError(DatabaseError):
    """The connection had ended before the transaction began; use another."""


class AbortedTransactionError(SlackwaterError):
    """The work went on after a statement had failed; let that error out of the work."""


def run_transaction(connection: Connection, begin: str, work: Callable[[Connection], T]) -> T:
    """Run `work` between `begin` and a commit that has reached the disk.

    Raises:
        StaleConnectionError: nothing was begun.
        DatabaseError: the connection was lost before the commit was sent; nothing has happened.
        UnknownOutcomeError: it was lost while the commit was on its way.
        AbortedTransactionError: the server could not commit, because a statement had failed.
    """
    driver = driver_of(connection)
    _begin(driver, begin)
    try:
        outcome = work(connection)
    except BaseException as error:
        _roll_back(driver, error)
        raise
    _commit(driver)
    return outcome


def run_statement(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Run `work` of a single statement that reads; it needs no transaction to see one snapshot.

    Raises:
        StaleConnectionError: the connection was lost; it may be read again.
    """
    try:
        return work(connection)
    except Exception as error:
        if is_lost(driver_of(connection)):
            raise StaleConnectionError(f"the connection was lost: {error}; try again") from error
        raise


def driver_of(connection: Connection) -> RawConnection:
    """Return the driver's connection below SQLAlchemy's."""
    return cast("RawConnection", connection.connection.driver_connection)


def _begin(driver: RawConnection, begin: str) -> None:
    try:
        driver.execute(begin.encode(), prepare=False)
    except psycopg.OperationalError as error:
        if is_lost(driver):
            raise StaleConnectionError(f"the connection had ended: {error}; try again") from error
        raise


def _roll_back(driver: RawConnection, cause: BaseException) -> None:
    if not is_lost(driver):
        try:
            driver.execute(b"ROLLBACK", prepare=False)
        except psycopg.OperationalError:
            driver.close()
    if is_lost(driver):
        raise DatabaseError(f"the connection was lost: {cause}; try again") from cause


def _commit(driver: RawConnection) -> None:
    try:
        ended = driver.execute(b"COMMIT", prepare=False).statusmessage
    except psycopg.OperationalError as error:
        if is_lost(driver):
            raise UnknownOutcomeError(
                f"the connection was lost at the commit: {error}; look whether it has happened, "
                "or repeat it with the same idempotency key"
            ) from error
        raise
    if ended != "COMMIT":  # PostgreSQL answers a failed transaction's commit with a roll-back
        raise AbortedTransactionError(
            "nothing was committed: the work went on after a failed statement; let the error out"
        )
