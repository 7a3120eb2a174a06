"""What PostgreSQL's errors mean to us: told by SQLSTATE, however deep they are wrapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg
from psycopg import errors

from slackwater.database.port import DatabaseError, UnstorableTextError
from slackwater.errors import ConfigurationError, SlackwaterError
from slackwater.outbox.publishing import ROWS_REFUSED, AnotherWayError

T = TypeVar("T")

_CONFLICTS = frozenset({errors.SerializationFailure.sqlstate, errors.DeadlockDetected.sqlstate})
_UNIQUE = errors.UniqueViolation.sqlstate
_TRANSIENT_CLASSES = ("08", "53", "55", "57", "58")
_READ_ONLY = errors.ReadOnlySqlTransaction.sqlstate
_NOT_ALLOWED = errors.InsufficientPrivilege.sqlstate


class NotAllowedError(ConfigurationError):
    """The role may not do what the service needs; let it own its schema."""


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of the server's error below this one, None where there is none."""
    for each in _chain(error):
        if isinstance(each, psycopg.Error) and each.sqlstate:
            return each.sqlstate
    return None


def is_conflict(error: BaseException) -> bool:
    """Tell whether other transactions were in the way: the same work may well succeed later."""
    return sqlstate_of(error) in _CONFLICTS


def is_taken_key(error: BaseException) -> bool:
    """Tell whether a unique key was taken; work that looked first was overtaken by another."""
    return sqlstate_of(error) == _UNIQUE


def trouble_of(error: BaseException) -> SlackwaterError | None:
    """Tell trouble of the server or the set-up from the work's own errors (None)."""
    state = sqlstate_of(error) or ""
    if state.startswith(_TRANSIENT_CLASSES) or state == _READ_ONLY:
        return DatabaseError(f"PostgreSQL cannot be used now: {error}; try again")
    if any(isinstance(each, psycopg.DataError) and "NUL" in str(each) for each in _chain(error)):
        return UnstorableTextError("a text holds a NUL character; send it without")
    if state == ROWS_REFUSED:
        return AnotherWayError("an event may be no row here")
    if state == _NOT_ALLOWED:
        return NotAllowedError(f"{error}; let the role own its schema")
    return None


def translated(work: Callable[[], T]) -> T:
    """Run `work`; raise trouble of the server or the set-up as our own errors."""
    try:
        return work()
    except SlackwaterError:
        raise
    except Exception as error:
        if (trouble := trouble_of(error)) is not None:
            raise trouble from error
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "orig", None) or error.__cause__
