"""Dead letters and holes in the SQLite file of the progress that passes them.

Everything here happens inside the transaction of whoever calls: a letter is there if and only if
the position is that has passed it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import (
    HOLES_LISTED_MAX,
    DeadLetter,
    Hole,
    by_place,
    grown,
    together,
)
from slackwater.read_models.progress import ModelVersion
from slackwater.read_models.sqlite_records import RECORD_COLUMNS, read_record, record_values
from slackwater.sqlite.driver import Connection

_CREATE_HOLES = """
    CREATE TABLE IF NOT EXISTS progress_holes (
        read_model TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        key TEXT NOT NULL,
        first_offset INTEGER NOT NULL,
        last_offset INTEGER NOT NULL,
        letters INTEGER NOT NULL,
        documents TEXT,
        error TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (read_model, version, topic, partition, key)
    ) WITHOUT ROWID
"""
_CREATE_FIRST_OFFSETS = """
    CREATE INDEX IF NOT EXISTS progress_holes_by_first_offset
    ON progress_holes (read_model, version, topic, partition, first_offset)
"""
_CREATE_LETTERS = """
    CREATE TABLE IF NOT EXISTS dead_letters (
        read_model TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        key TEXT NOT NULL,
        offset INTEGER NOT NULL,
        value BLOB NOT NULL,
        headers TEXT NOT NULL,
        documents TEXT,
        error TEXT,
        reason TEXT,
        parked_at TEXT NOT NULL,
        PRIMARY KEY (read_model, version, topic, partition, key, offset)
    )
"""
_HOLE_COLUMNS = (
    "topic, partition, key, first_offset, last_offset, letters, documents, error, reason"
)
_FIND_HOLE = f"""
    SELECT {_HOLE_COLUMNS} FROM progress_holes
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND key = ?
"""  # noqa: S608
_FIND_HOLES = f"""
    SELECT {_HOLE_COLUMNS} FROM progress_holes
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND key > ?
    ORDER BY key LIMIT ?
"""  # noqa: S608
_LIST_HOLES = f"""
    SELECT {_HOLE_COLUMNS} FROM progress_holes WHERE read_model = ? AND version = ?
    ORDER BY topic, partition, key LIMIT ?
"""  # noqa: S608
_HAS_COUNT = "SELECT 1 FROM pragma_table_info('progress_partitions') WHERE name = 'holes'"
_ADD_COUNT = "ALTER TABLE progress_partitions ADD COLUMN holes INTEGER NOT NULL DEFAULT 0"
_COUNT = """
    UPDATE progress_partitions SET holes = holes + ?
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ?
"""
# The count is kept beside progress, and the minimum is the first entry of an index: however many
# holes there are, progress is loaded in no time.
_WHOLE = """
    SELECT topic, partition, holes, (
        SELECT min(first_offset) FROM progress_holes AS hole
        WHERE hole.read_model = place.read_model AND hole.version = place.version
            AND hole.topic = place.topic AND hole.partition = place.partition
    )
    FROM progress_partitions AS place WHERE read_model = ? AND version = ? AND holes > 0
"""
_PUT_HOLE = f"""
    INSERT OR REPLACE INTO progress_holes (read_model, version, {_HOLE_COLUMNS})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608
_LETTER_COLUMNS = f"{RECORD_COLUMNS}, documents, error, reason, parked_at"
_PUT_LETTER = f"""
    INSERT INTO dead_letters (read_model, version, {_LETTER_COLUMNS})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608
_LIST_LETTERS = f"""
    SELECT {_LETTER_COLUMNS} FROM dead_letters
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND key = ?
        AND offset > ? AND offset BETWEEN ? AND ?
    ORDER BY offset LIMIT ?
"""  # noqa: S608
_CLOSE = """
    DELETE FROM progress_holes
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND key = ?
        AND last_offset = ?
"""
_REMOVE_LETTERS = """
    DELETE FROM dead_letters
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND key = ?
"""
_FORGET = (
    "DELETE FROM progress_holes WHERE read_model = ? AND version = ?",
    "DELETE FROM dead_letters WHERE read_model = ? AND version = ?",
)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    for statement in (_CREATE_HOLES, _CREATE_FIRST_OFFSETS, _CREATE_LETTERS):
        connection.execute(statement)
    if not connection.execute(_HAS_COUNT).fetchall():
        connection.execute(_ADD_COUNT)


def park(connection: Connection, model: ModelVersion, letters: Sequence[DeadLetter]) -> None:
    """Keep letters with the holes of their keys; those that are kept already change nothing.

    Raises:
        ConflictError: of a key that a letter waits behind, nothing is parked.
    """
    for (at, key), parked in by_place(letters).items():
        before = hole_of(connection, model, at, key)
        hole, added = grown(before, parked)
        connection.execute(_PUT_HOLE, (*model, *_hole_values(hole)))
        if before is None:
            connection.execute(_COUNT, (1, *model, *at))
        for letter in added:
            connection.execute(_PUT_LETTER, (*model, *_letter_values(letter)))


def holes_in(
    connection: Connection, model: ModelVersion, at: TopicPartition, after: str, limit: int
) -> list[Hole]:
    """Return a page of the holes of a partition."""
    parameters = (*model, *at, after, limit)
    return [_hole(row) for row in connection.execute(_FIND_HOLES, parameters)]


def hole_of(
    connection: Connection, model: ModelVersion, at: TopicPartition, key: str
) -> Hole | None:
    """Return the hole of a key, if anything of it is parked."""
    found = connection.execute(_FIND_HOLE, (*model, *at, key)).fetchall()
    return _hole(found[0]) if found else None


def listed_holes(connection: Connection, model: ModelVersion) -> tuple[Hole, ...]:
    """Return the holes of a version; of very many, the last ones together."""
    parameters = (*model, HOLES_LISTED_MAX + 1)
    listed = [_hole(row) for row in connection.execute(_LIST_HOLES, parameters)]
    if len(listed) <= HOLES_LISTED_MAX:
        return tuple(listed)
    del listed[HOLES_LISTED_MAX:]
    whole = {
        TopicPartition(topic, partition): (keys, offset)
        for topic, partition, keys, offset in connection.execute(_WHOLE, model)
    }
    return (*listed, *together(listed, whole))


def letters_of(
    connection: Connection, model: ModelVersion, hole: Hole, after: int, limit: int
) -> list[DeadLetter]:
    """Return a page of a hole's letters."""
    parameters = (*model, *hole.at, hole.key, after, hole.offset, hole.last_offset, limit)
    return [_letter(row) for row in connection.execute(_LIST_LETTERS, parameters)]


def close(connection: Connection, model: ModelVersion, hole: Hole) -> bool:
    """Remove a hole with its letters if it is still as it was read."""
    place = (*model, *hole.at, hole.key)
    if connection.execute(_CLOSE, (*place, hole.last_offset)).rowcount == 0:
        return False
    connection.execute(_REMOVE_LETTERS, place)
    connection.execute(_COUNT, (-1, *model, *hole.at))
    return True


def forget(connection: Connection, model: ModelVersion) -> None:
    """Remove what a version has parked."""
    for statement in _FORGET:
        connection.execute(statement, model)


def _hole(row: Sequence[Any]) -> Hole:
    topic, partition, key, offset, last_offset, letters, documents, error, reason = row
    return Hole(
        at=TopicPartition(topic, partition),
        key=key,
        offset=offset,
        last_offset=last_offset,
        letters=letters,
        documents=None if documents is None else tuple(msgspec.json.decode(documents)),
        error=error,
        reason=reason,
    )


def _hole_values(hole: Hole) -> Iterator[Any]:
    documents = _text(hole.documents)
    place = (*hole.at, hole.key, hole.offset, hole.last_offset, hole.letters)
    return itertools.chain(place, (documents, hole.error, hole.reason))


def _letter(row: Sequence[Any]) -> DeadLetter:
    *record, documents, error, reason, parked_at = row
    return DeadLetter(
        record=read_record(record),
        documents=None if documents is None else tuple(msgspec.json.decode(documents)),
        error=error,
        reason=reason,
        parked_at=datetime.fromisoformat(parked_at),
    )


def _letter_values(letter: DeadLetter) -> tuple[Any, ...]:
    return (
        *record_values(letter.record),
        _text(letter.documents),
        letter.error,
        letter.reason,
        letter.parked_at.isoformat(),
    )


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
