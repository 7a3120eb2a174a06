"""What MongoDB's errors mean for whoever asked: try again, or mend the set-up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from pymongo import errors

from slackwater.errors import (
    ConfigurationError,
    ConflictError,
    SlackwaterError,
    StructuralError,
    TransientError,
)


class ServerCode(IntEnum):
    """The server's error codes that matter here, by the server's own names."""

    UNAUTHORIZED = 13
    AUTHENTICATION_FAILED = 18
    ILLEGAL_OPERATION = 20
    LOCK_TIMEOUT = 24
    CURSOR_NOT_FOUND = 43
    LOCK_BUSY = 46
    NAMESPACE_EXISTS = 48
    MAX_TIME_EXPIRED = 50
    WRITE_CONCERN_TIMEOUT = 64
    WRITE_CONFLICT = 112
    CONFLICTING_OPERATION_IN_PROGRESS = 117
    NOT_A_REPLICA_SET = 123
    READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET = 134
    QUERY_PLAN_KILLED = 175
    CURSOR_KILLED = 237
    SNAPSHOT_TOO_OLD = 239
    SNAPSHOT_UNAVAILABLE = 246
    NO_SUCH_TRANSACTION = 251
    INDEX_BUILD_ABORTED = 276
    CHANGE_STREAM_HISTORY_LOST = 286
    ATLAS_ERROR = 8000
    OBJECT_TOO_LARGE = 10334
    DUPLICATE_KEY = 11000
    INTERRUPTED = 11601
    CHANGE_STREAM_NEEDS_REPLICA_SET = 40573


_ACCESS_REFUSED = {
    ServerCode.UNAUTHORIZED,
    ServerCode.AUTHENTICATION_FAILED,
    ServerCode.ATLAS_ERROR,
}
_NOT_REPLICATED = {
    ServerCode.ILLEGAL_OPERATION,
    ServerCode.NOT_A_REPLICA_SET,
    ServerCode.CHANGE_STREAM_NEEDS_REPLICA_SET,
}
_PASSING = {
    ServerCode.LOCK_TIMEOUT,
    ServerCode.CURSOR_NOT_FOUND,
    ServerCode.LOCK_BUSY,
    ServerCode.MAX_TIME_EXPIRED,
    ServerCode.WRITE_CONCERN_TIMEOUT,
    ServerCode.CONFLICTING_OPERATION_IN_PROGRESS,
    ServerCode.READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET,
    ServerCode.QUERY_PLAN_KILLED,
    ServerCode.CURSOR_KILLED,
    ServerCode.SNAPSHOT_TOO_OLD,
    ServerCode.SNAPSHOT_UNAVAILABLE,
    ServerCode.NO_SUCH_TRANSACTION,
    ServerCode.INDEX_BUILD_ABORTED,
    ServerCode.CHANGE_STREAM_HISTORY_LOST,
    ServerCode.INTERRUPTED,  # a session is ended by whoever claims its partitions
}
_PASSING_LABELS = (
    "RetryableWriteError",
    "ResumableChangeStreamError",
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into the project's, by what the caller can do about them."""
    try:
        yield
    except errors.PyMongoError as error:
        raise translation(error) from error


def translation(error: errors.PyMongoError) -> SlackwaterError:
    """Return the project's error for one of the driver."""
    code = getattr(error, "code", None)
    if code == ServerCode.WRITE_CONFLICT:
        return ConflictError(f"somebody else is writing: {error}; load anew and fold again")
    if _is_passing(error, code):
        return TransientError(f"MongoDB does not answer as it should: {error}; try again")
    if code in _ACCESS_REFUSED:
        return StructuralError(
            f"MongoDB refuses the user: {error}; correct the user and password in the URL, or "
            "grant the user readWrite on the database"
        )
    if code in _NOT_REPLICATED:
        return not_replicated(error)
    if isinstance(error, (errors.ConfigurationError, errors.InvalidName)):
        return ConfigurationError(f"MongoDB cannot be used like this: {error}; correct its URL")
    return StructuralError(f"MongoDB refuses a request: {error}; mend what the message names")


def not_replicated(reason: object) -> StructuralError:
    """Return the error of a server that stands alone: it has neither transactions nor a clock."""
    return StructuralError(
        f"MongoDB runs without replication: {reason}; start it as a replica set (of one member, "
        "if need be) and initiate it"
    )


def _is_passing(error: errors.PyMongoError, code: int | None) -> bool:
    return (
        isinstance(error, errors.ConnectionFailure)
        or error.timeout
        or code in _PASSING
        or any(error.has_error_label(label) for label in _PASSING_LABELS)
    )
