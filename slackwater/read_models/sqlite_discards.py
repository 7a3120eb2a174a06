"""Discards in the SQLite file of the progress that passes them, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from slackwater.read_models.discards import Discard, Treatment
from slackwater.read_models.sqlite_records import RECORD_COLUMNS, read_record, record_values
from slackwater.sqlite.driver import Connection

_CREATE = """
    CREATE TABLE IF NOT EXISTS discards (
        read_model TEXT NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        headers TEXT NOT NULL,
        treatment TEXT NOT NULL,
        version_before INTEGER NOT NULL,
        error TEXT NOT NULL,
        reason TEXT NOT NULL,
        by TEXT NOT NULL,
        why TEXT NOT NULL,
        discarded_at TEXT NOT NULL,
        PRIMARY KEY (read_model, topic, partition, offset)
    )
"""
_COLUMNS = f"{RECORD_COLUMNS}, treatment, version_before, error, reason, by, why, discarded_at"
_PUT = f"""
    INSERT OR REPLACE INTO discards (read_model, {_COLUMNS})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608
_LIST = f"""
    SELECT {_COLUMNS} FROM discards
    WHERE read_model = ? AND (topic, partition, offset) > (?, ?, ?)
    ORDER BY topic, partition, offset LIMIT ?
"""  # noqa: S608
_BEFORE_ALL = ("", -1, -1)


def create_table(connection: Connection) -> None:
    """Create it if it is missing."""
    connection.execute(_CREATE)


def put(connection: Connection, read_model: str, discards: Sequence[Discard]) -> None:
    """Keep discards; of an event the last one counts."""
    for discard in discards:
        connection.execute(_PUT, (read_model, *_values(discard)))


def page_of(
    connection: Connection, read_model: str, after: Discard | None, limit: int
) -> list[Discard]:
    """Return a page of a read model's discards."""
    place = _BEFORE_ALL if after is None else (*after.record.topic_partition, after.record.offset)
    return [_discard(row) for row in connection.execute(_LIST, (read_model, *place, limit))]


def _values(discard: Discard) -> tuple[Any, ...]:
    return (
        *record_values(discard.record),
        discard.treatment,
        discard.version_before,
        discard.error,
        discard.reason,
        discard.by,
        discard.why,
        discard.discarded_at.isoformat(),
    )


def _discard(row: Sequence[Any]) -> Discard:
    *record, treatment, version_before, error, reason, by, why, at = row
    return Discard(
        record=read_record(record),
        treatment=Treatment(treatment),
        version_before=version_before,
        error=error,
        reason=reason,
        by=by,
        why=why,
        discarded_at=datetime.fromisoformat(at),
    )
