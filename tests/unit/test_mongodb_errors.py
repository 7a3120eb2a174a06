"""What MongoDB's errors mean for whoever asked."""

from __future__ import annotations

import pytest
from pymongo import errors

from slackwater.errors import (
    ConfigurationError,
    ConflictError,
    SlackwaterError,
    StructuralError,
    TransientError,
)
from slackwater.read_models.mongodb_errors import ServerCode, translation


def labelled(label: str) -> errors.PyMongoError:
    return errors.OperationFailure("failed", 1, {"errorLabels": [label]})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.AutoReconnect("away"), TransientError),
        (errors.NotPrimaryError("stepped down"), TransientError),
        (errors.ServerSelectionTimeoutError("no primary"), TransientError),
        (errors.WaitQueueTimeoutError("pool is busy"), TransientError),
        (errors.NetworkTimeout("slow"), TransientError),
        (errors.ExecutionTimeout("slow", ServerCode.MAX_TIME_EXPIRED), TransientError),
        (labelled("TransientTransactionError"), TransientError),
        (labelled("UnknownTransactionCommitResult"), TransientError),
        (errors.OperationFailure("changed", ServerCode.SNAPSHOT_UNAVAILABLE), TransientError),
        (errors.OperationFailure("conflict", ServerCode.WRITE_CONFLICT), ConflictError),
        (errors.OperationFailure("user", ServerCode.AUTHENTICATION_FAILED), StructuralError),
        (errors.OperationFailure("role", ServerCode.UNAUTHORIZED), StructuralError),
        (errors.OperationFailure("alone", ServerCode.ILLEGAL_OPERATION), StructuralError),
        (errors.OperationFailure("unheard of", 999_999), StructuralError),
        (errors.InvalidOperation("closed"), StructuralError),
        (errors.ConfigurationError("no sessions"), ConfigurationError),
    ],
)
def test_an_error_becomes_what_the_caller_can_do(
    error: errors.PyMongoError, expected: type[SlackwaterError]
) -> None:
    assert type(translation(error)) is expected


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (ServerCode.AUTHENTICATION_FAILED, "correct the user and password"),
        (ServerCode.UNAUTHORIZED, "grant the user readWrite"),
        (ServerCode.NOT_A_REPLICA_SET, "start it as a replica set"),
        (ServerCode.CHANGE_STREAM_NEEDS_REPLICA_SET, "start it as a replica set"),
    ],
)
def test_the_message_ends_with_the_remedy(code: ServerCode, remedy: str) -> None:
    assert remedy in str(translation(errors.OperationFailure("refused", code)))
