"""What the consumers of a service have parked, in the service's own database.

Everything here happens inside the transaction of whoever calls: a letter is there if and only if
the progress is that has passed it, and it goes in the transaction that has its effect. Whoever
changes a hole holds its row, so that one parks behind a key while another replays it, never both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from slackwater.event_log.port import Record, TopicPartition
from slackwater.outbox.tables import KernelTables
from slackwater.read_models.dead_letters import DeadLetter, Hole, by_place, grown
from slackwater.read_models.discards import Discard, Treatment


class Extent(NamedTuple):
    """How much is parked, and why one of the keys is."""

    keys: int
    letters: int
    reason: str


class DeadLetters:
    """Of one consumer."""

    def __init__(self, tables: KernelTables, consumer: str) -> None:
        self._holes = tables.consumer_hole
        self._letters = tables.consumer_dead_letter
        self._progress = tables.consumer_progress
        self._consumer = consumer

    def park(self, connection: Connection, letters: Sequence[DeadLetter]) -> None:
        """Keep letters with the holes of their keys; those that are kept already change nothing.

        Raises:
            ConflictError: of a key that a letter waits behind, nothing is parked.
        """
        for (at, key), parked in by_place(letters).items():
            before = self.hole(connection, at, key, for_change=True)
            hole, added = grown(before, parked)
            if before is None:
                connection.execute(insert(self._holes).values(**self._hole_values(hole)))
            elif added:
                self._change(connection, hole)
            if added:
                rows = [self._letter_values(letter) for letter in added]
                connection.execute(insert(self._letters), rows)

    def first_parked(self, connection: Connection) -> dict[TopicPartition, int]:
        """Return the first offset that is parked, of each partition that has one."""
        holes, progress = self._holes, self._progress
        # One entry of an index for each partition, however many holes there are.
        first = (
            select(func.min(holes.c.first_offset))
            .where(
                holes.c.consumer == progress.c.consumer,
                holes.c.topic == progress.c.topic,
                holes.c.partition == progress.c.partition,
            )
            .scalar_subquery()
        )
        own = progress.c.consumer == self._consumer
        rows = connection.execute(select(progress.c.topic, progress.c.partition, first).where(own))
        return {
            TopicPartition(topic, partition): offset
            for topic, partition, offset in rows
            if offset is not None
        }

    def holes(self, connection: Connection, *, after: Hole | None = None, limit: int) -> list[Hole]:
        """Return a page of the holes, by topic, partition and key."""
        holes = self._holes
        place = holes.c.topic, holes.c.partition, holes.c.key
        query = select(holes).where(holes.c.consumer == self._consumer).order_by(*place)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after.at, after.key))
        return [_hole(row) for row in connection.execute(query.limit(limit))]

    def holes_in(self, connection: Connection, at: TopicPartition) -> Iterator[Hole]:
        """Yield every hole of a partition."""
        rows = connection.execute(select(self._holes).where(*self._in(self._holes, at)))
        return map(_hole, rows)

    def hole(
        self, connection: Connection, at: TopicPartition, key: str, *, for_change: bool = False
    ) -> Hole | None:
        """Return the hole of a key; `for_change` keeps others from it until the commit."""
        query = select(self._holes).where(*self._own_hole(at, key))
        row = connection.execute(query.with_for_update() if for_change else query).one_or_none()
        return _hole(row) if row is not None else None

    def letters(
        self, connection: Connection, hole: Hole, *, after: int = -1, limit: int
    ) -> list[DeadLetter]:
        """Return a page of a hole's letters, in the order of their offsets, behind one of these."""
        letters = self._letters
        waiting = (
            *self._own_letters(hole),
            letters.c.offset > after,
            letters.c.discarded_at.is_(None),
        )
        query = select(letters).where(*waiting).order_by(letters.c.offset).limit(limit)
        return [_letter(row) for row in connection.execute(query)]

    def remove(self, connection: Connection, hole: Hole, done: Sequence[DeadLetter]) -> Hole | None:
        """Remove the first letters of a hole, which are done; return what is left of it.

        Whoever calls holds the hole (`for_change`).
        """
        letters, last = self._letters, done[-1].record.offset
        gone = *self._own_letters(hole), letters.c.offset <= last, letters.c.discarded_at.is_(None)
        connection.execute(delete(letters).where(*gone))
        return self._shrunk(connection, hole, len(done))

    def discard(self, connection: Connection, hole: Hole, discard: Discard) -> Hole | None:
        """Go without the first of a hole's letters, and keep who decided it; return what is left.

        Whoever calls holds the hole (`for_change`).
        """
        letters = self._letters
        connection.execute(
            update(letters)
            .where(*self._own_letters(hole), letters.c.offset == discard.record.offset)
            .values(
                error=discard.error,
                reason=_storable(discard.reason),
                discarded_by=discard.by,
                why=discard.why,
                discarded_at=discard.discarded_at.isoformat(),
            )
        )
        return self._shrunk(connection, hole, 1)

    def say_why(self, connection: Connection, hole: Hole) -> None:
        """Keep why the first letter of a hole cannot be handled."""
        self._change(connection, hole)
        first = *self._own_letters(hole), self._letters.c.offset == hole.offset
        why = {"error": hole.error, "reason": _storable(hole.reason)}
        connection.execute(update(self._letters).where(*first).values(**why))

    def discards(
        self, connection: Connection, *, after: Discard | None = None, limit: int
    ) -> list[Discard]:
        """Return a page of what was discarded, by topic, partition, key and offset."""
        letters = self._letters
        order = letters.c.topic, letters.c.partition, letters.c.key, letters.c.offset
        discarded = letters.c.consumer == self._consumer, letters.c.discarded_at.is_not(None)
        query = select(letters).where(*discarded).order_by(*order)
        if after is not None:
            record = after.record
            place = tuple_(*record.topic_partition, record.key, record.offset)
            query = query.where(tuple_(*order) > place)
        return [_discard(row) for row in connection.execute(query.limit(limit))]

    def extent(self, connection: Connection) -> Extent | None:
        """Return how much is parked, None where nothing is."""
        holes = self._holes
        counted = select(func.count(), func.sum(holes.c.letters), func.min(holes.c.reason))
        query = counted.where(holes.c.consumer == self._consumer)
        keys, letters, reason = connection.execute(query).one()
        return Extent(keys, int(letters), reason) if keys else None

    def forget(self, connection: Connection, partitions: Collection[TopicPartition]) -> None:
        """Remove what waits in partitions, before all of their events come again."""
        holes, letters = self._holes, self._letters
        for at in partitions:
            connection.execute(delete(holes).where(*self._in(holes, at)))
            waiting = *self._in(letters, at), letters.c.discarded_at.is_(None)
            connection.execute(delete(letters).where(*waiting))

    def _shrunk(self, connection: Connection, hole: Hole, gone: int) -> Hole | None:
        first = self.letters(connection, hole, limit=1)
        if not first:
            connection.execute(delete(self._holes).where(*self._own_hole(hole.at, hole.key)))
            return None
        [letter] = first
        left = replace(
            hole,
            offset=letter.record.offset,
            letters=hole.letters - gone,
            error=letter.error or "NotReplayed",
            reason=letter.reason or "all before it is replayed; replay it, too",
        )
        self._change(connection, left)
        return left

    def _change(self, connection: Connection, hole: Hole) -> None:
        own = self._own_hole(hole.at, hole.key)
        connection.execute(update(self._holes).where(*own).values(**_changing(hole)))

    def _hole_values(self, hole: Hole) -> dict[str, Any]:
        place = {"topic": hole.at.topic, "partition": hole.at.partition, "key": hole.key}
        return {"consumer": self._consumer, **place, **_changing(hole)}

    def _letter_values(self, letter: DeadLetter) -> dict[str, Any]:
        record = letter.record
        return {
            "consumer": self._consumer,
            "topic": record.topic,
            "partition": record.partition,
            "key": record.key,
            "offset": record.offset,
            "value": record.value,
            "headers": msgspec.json.encode(record.headers),
            "error": letter.error,
            "reason": _storable(letter.reason) if letter.reason is not None else None,
            "parked_at": letter.parked_at.isoformat(),
        }

    def _in(self, table: Table, at: TopicPartition) -> tuple[ColumnElement[bool], ...]:
        return (
            table.c.consumer == self._consumer,
            table.c.topic == at.topic,
            table.c.partition == at.partition,
        )

    def _own_hole(self, at: TopicPartition, key: str | None) -> tuple[ColumnElement[bool], ...]:
        return (*self._in(self._holes, at), self._holes.c.key == key)

    def _own_letters(self, hole: Hole) -> tuple[ColumnElement[bool], ...]:
        return (*self._in(self._letters, hole.at), self._letters.c.key == hole.key)


def _changing(hole: Hole) -> dict[str, Any]:
    return {
        "first_offset": hole.offset,
        "last_offset": hole.last_offset,
        "letters": hole.letters,
        "error": hole.error,
        "reason": _storable(hole.reason),
    }


def _storable(text: str) -> str:
    """Return text that tells of an event, which may hold what no database keeps."""
    return text.replace("\0", "\\0")


def _hole(row: Row[Any]) -> Hole:
    return Hole(
        at=TopicPartition(row.topic, row.partition),
        key=row.key,
        offset=row.first_offset,
        last_offset=row.last_offset,
        letters=row.letters,
        documents=None,
        error=row.error,
        reason=row.reason,
    )


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        record=_record(row),
        documents=None,
        error=row.error,
        reason=row.reason,
        parked_at=datetime.fromisoformat(row.parked_at),
    )


def _discard(row: Row[Any]) -> Discard:
    return Discard(
        record=_record(row),
        treatment=Treatment.LEFT_OUT,
        version_before=0,
        error=row.error,
        reason=row.reason,
        by=row.discarded_by,
        why=row.why,
        discarded_at=datetime.fromisoformat(row.discarded_at),
    )


def _record(row: Row[Any]) -> Record:
    return Record(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        key=row.key,
        value=row.value,
        headers=msgspec.json.decode(row.headers),
    )
