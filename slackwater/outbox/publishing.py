"""The ways in which what a service has committed is published."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from slackwater.errors import StructuralError

ROWS_REFUSED: Final = "SW001"
"""The SQLSTATE with which PostgreSQL refuses a row where events leave by another way."""


class AnotherWayError(StructuralError):
    """The database's events leave by another way; have all instances follow the same, and start
    them anew.
    """

    code = "ANOTHER_WAY_OF_PUBLISHING"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, because the database's events leave by another way now: set the same way of "
            "the service in SLACKWATER_PUBLISHING for all its instances and relays, and start "
            "them anew"
        )


class Publishing(StrEnum):
    """What a unit of work leaves behind, and how its events are found."""

    OUTBOX = "OUTBOX"
    """Rows; a relay looks for those that are not marked. On every database."""
    LOG_OUTBOX = "LOG_OUTBOX"
    """Rows; a miner sees them come in PostgreSQL's write-ahead log."""
    LOG_MESSAGES = "LOG_MESSAGES"
    """Messages in the write-ahead log; a miner makes rows of them, and publishes those."""
    ROW_CHANGES = "ROW_CHANGES"
    """No events at all; a miner infers them from the rows of the service that have changed."""

    @property
    def keeps_rows(self) -> bool:
        """Whether an event is a row as soon as it is committed."""
        return self in (Publishing.OUTBOX, Publishing.LOG_OUTBOX)

    @property
    def is_mined(self) -> bool:
        """Whether the write-ahead log is read."""
        return self is not Publishing.OUTBOX
