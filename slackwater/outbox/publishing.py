"""The ways in which what a service has committed is published."""

from __future__ import annotations

from enum import StrEnum


class Publishing(StrEnum):
    """How the rows of a table of events are found."""

    OUTBOX = "OUTBOX"
    """A relay looks for those that are not marked; on every database."""
    LOG_OUTBOX = "LOG_OUTBOX"
    """A miner sees them come in PostgreSQL's write-ahead log."""
