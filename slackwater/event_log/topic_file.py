"""One topic in an SQLite file: its records, and where each partition begins and ends.

The ends stand in a table of their own and only grow, so trimming never gives an offset twice. They
change in the transaction that appends, so a snapshot never shows an end without its records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from slackwater.event_log.errors import (
    LostRetentionError,
    PartitionCountError,
    PositionBeyondEndError,
    UnknownTopicError,
)
from slackwater.event_log.new_file import create_file
from slackwater.event_log.partitioner import partition_of
from slackwater.event_log.port import NewRecord, Record, Topic, TopicPartition
from slackwater.sqlite.driver import Connection
from slackwater.sqlite.file import SqliteFile

_SCHEMA = """
CREATE TABLE topic (
    name TEXT NOT NULL, partitions INTEGER NOT NULL, retention_records INTEGER,
    keeps_newest INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE bounds (
    partition INTEGER PRIMARY KEY, oldest_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    key TEXT NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL,
    PRIMARY KEY (partition, offset)
) STRICT, WITHOUT ROWID;
"""
_READ_TOPIC = "SELECT name, partitions, retention_records, keeps_newest FROM topic"
_HAS_KEEPS_NEWEST = "SELECT 1 FROM pragma_table_info('topic') WHERE name = 'keeps_newest'"
_ADD_KEEPS_NEWEST = "ALTER TABLE topic ADD COLUMN keeps_newest INTEGER NOT NULL DEFAULT 0"
_READ_BOUNDS = "SELECT partition, oldest_offset, next_offset FROM bounds"
_WRITE_BOUNDS = "UPDATE bounds SET oldest_offset = ?, next_offset = ? WHERE partition = ?"
_APPEND = "INSERT INTO records (partition, offset, key, value, headers) VALUES (?, ?, ?, ?, ?)"
_FETCH = (
    "SELECT partition, offset, key, value, headers FROM records "
    "WHERE partition = ? AND offset >= ? ORDER BY offset LIMIT ?"
)
_TRIM = "DELETE FROM records WHERE partition = ?1 AND offset < ?2"
_TRIM_SUPERSEDED = (
    "DELETE FROM records WHERE partition = ?1 AND offset < ?2 AND offset NOT IN "
    "(SELECT max(offset) FROM records WHERE partition = ?1 GROUP BY key)"
)

_TRIM_MAX = 10_000
_STEM_CHARS_MAX = 160

_encode_headers = msgspec.json.Encoder().encode
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


class Bounds(NamedTuple):
    """The oldest offset that a partition keeps, and the offset that its next record gets."""

    oldest: int
    end: int


class Fetch(NamedTuple):
    """A wish for at most `limit` records of a partition, from `position` on."""

    partition: int
    position: int
    limit: int


def path_of(directory: Path, topic: str) -> Path:
    """Name the file of a topic; any text is a topic's name, and no two share a file."""
    stem = quote(topic, safe="")
    if len(stem) > _STEM_CHARS_MAX:
        stem = f"{stem[:_STEM_CHARS_MAX]}-{sha256(topic.encode()).hexdigest()}"
    return directory / f"topic-{stem}.sqlite"


class TopicFile:
    """An open topic; open it with `open_topic`."""

    def __init__(self, file: SqliteFile, topic: Topic) -> None:
        self._file = file
        self.name = topic.name
        self.partitions = topic.partitions
        self._keeps_newest = topic.keeps_newest

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[TopicPartition, int]]:
        """Append durably, in order; return each record's partition and offset."""
        return await self._file.write(partial(_append, records=records))

    async def bounds(self) -> dict[int, Bounds]:
        """Return the bounds of each partition, read afresh."""
        return await self._file.read(_read_bounds)

    async def fetch(self, fetches: Sequence[Fetch], *, oldest_at_zero: bool) -> list[Record]:
        """Return the records wished for, partition after partition, from one snapshot.

        Args:
            fetches: what to read; at most one a partition.
            oldest_at_zero: take position 0 for the oldest offset kept.

        Raises:
            LostRetentionError: a position was trimmed away.
            PositionBeyondEndError: a position lies beyond the end of its partition.
        """
        return await self._file.read(
            partial(
                _fetch_all,
                topic=self.name,
                fetches=fetches,
                oldest_at_zero=oldest_at_zero,
                skips_trimmed=self._keeps_newest,
            )
        )

    async def keep(self, retention_records: int | None, *, keeps_newest: bool) -> None:
        """Bound how many records each partition keeps from now on."""
        await self._file.write(
            lambda connection: connection.execute(
                "UPDATE topic SET retention_records = ?, keeps_newest = ?",
                (retention_records, keeps_newest),
            ).close()
        )

    async def close(self) -> None:
        await self._file.close()


async def open_topic(directory: Path, name: str) -> TopicFile:
    """Open a topic that some process has created.

    Raises:
        UnknownTopicError: nobody has.
    """
    path = path_of(directory, name)
    if not await asyncio.to_thread(path.exists):
        raise UnknownTopicError(name)
    file = SqliteFile(path)
    try:
        return TopicFile(file, await file.read(_read_topic))
    except BaseException:
        await file.close()
        raise


async def create_topic(directory: Path, topic: Topic) -> None:
    """Create a topic, or take over the retention of one that is there.

    Raises:
        PartitionCountError: it is there with another number of partitions.
    """
    path = path_of(directory, topic.name)
    await asyncio.to_thread(create_file, path, partial(_build, topic=topic))
    file = SqliteFile(path)
    try:
        if not await file.read(lambda connection: connection.execute(_HAS_KEEPS_NEWEST).fetchall()):
            await file.write(_add_keeps_newest)
        existing = await file.read(_read_topic)
        if existing.partitions != topic.partitions:
            raise PartitionCountError(topic.name, existing.partitions, topic.partitions)
        if existing != topic:
            await TopicFile(file, existing).keep(
                topic.retention_records, keeps_newest=topic.keeps_newest
            )
    finally:
        await file.close()


def _build(connection: Connection, topic: Topic) -> None:
    connection.executescript(_SCHEMA)
    connection.execute(
        "INSERT INTO topic VALUES (?, ?, ?, ?)",
        (topic.name, topic.partitions, topic.retention_records, topic.keeps_newest),
    )
    connection.executemany(
        "INSERT INTO bounds VALUES (?, 0, 0)", [(each,) for each in range(topic.partitions)]
    )


def _add_keeps_newest(connection: Connection) -> None:
    """Bring a file up to date that was made before there was such a thing."""
    if not connection.execute(_HAS_KEEPS_NEWEST).fetchall():  # another process may have been faster
        connection.execute(_ADD_KEEPS_NEWEST).close()


def _read_topic(connection: Connection) -> Topic:
    name, partitions, retention_records, keeps_newest = connection.execute(_READ_TOPIC).fetchone()
    return Topic(
        name=name,
        partitions=partitions,
        retention_records=retention_records,
        keeps_newest=bool(keeps_newest),
    )


def _read_bounds(connection: Connection) -> dict[int, Bounds]:
    rows = connection.execute(_READ_BOUNDS).fetchall()
    return {partition: Bounds(oldest, end) for partition, oldest, end in rows}


def _append(
    connection: Connection, records: Sequence[NewRecord]
) -> list[tuple[TopicPartition, int]]:
    topic = _read_topic(connection)
    bounds = _read_bounds(connection)
    ends = {partition: each.end for partition, each in bounds.items()}
    placed = []
    for record in records:
        partition = partition_of(record.key, topic.partitions)
        placed.append((TopicPartition(topic.name, partition), ends[partition]))
        ends[partition] += 1
    connection.executemany(_APPEND, map(_row_of, placed, records))
    for partition in {at.partition for at, _ in placed}:
        grown = Bounds(bounds[partition].oldest, ends[partition])
        oldest = _trim(connection, partition, grown, topic)
        connection.execute(_WRITE_BOUNDS, (oldest, grown.end, partition))
    return placed


def _row_of(
    place: tuple[TopicPartition, int], record: NewRecord
) -> tuple[int, int, str, bytes, bytes]:
    at, offset = place
    return at.partition, offset, record.key, record.value, _encode_headers(record.headers)


def _trim(connection: Connection, partition: int, bounds: Bounds, topic: Topic) -> int:
    """Trim once the bound is passed, an eighth more than needed: then many appends need not.

    A retention that was cut down is reached over several appends, so that none waits for long.
    """
    most = topic.retention_records
    if most is None or bounds.end - bounds.oldest <= most:
        return bounds.oldest
    kept = most - most // 8
    oldest = min(bounds.end - kept, bounds.oldest + _TRIM_MAX)
    trim = _TRIM_SUPERSEDED if topic.keeps_newest else _TRIM
    connection.execute(trim, (partition, oldest))
    return oldest


def _fetch_all(
    connection: Connection,
    topic: str,
    fetches: Sequence[Fetch],
    oldest_at_zero: bool,
    skips_trimmed: bool,
) -> list[Record]:
    bounds = _read_bounds(connection)
    records: list[Record] = []
    for fetch in fetches:
        start = _start(topic, fetch, bounds, oldest_at_zero, skips_trimmed)
        rows = connection.execute(_FETCH, (fetch.partition, start, fetch.limit))
        records.extend(_record_of(topic, *row) for row in rows)
    return records


def _start(
    topic: str,
    fetch: Fetch,
    bounds: Mapping[int, Bounds],
    oldest_at_zero: bool,
    skips_trimmed: bool,
) -> int:
    oldest, end = bounds[fetch.partition]
    if oldest_at_zero and fetch.position == 0:
        return 0  # some may be kept before the oldest offset
    if fetch.position < oldest and not skips_trimmed:
        raise LostRetentionError(TopicPartition(topic, fetch.partition), fetch.position, oldest)
    if fetch.position > end:
        raise PositionBeyondEndError(TopicPartition(topic, fetch.partition), fetch.position, end)
    return fetch.position


def _record_of(
    topic: str, partition: int, offset: int, key: str, value: bytes, headers: bytes
) -> Record:
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        headers=_decode_headers(headers),
    )
