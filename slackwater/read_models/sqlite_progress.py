"""Progress in an SQLite file, fenced by numbers that only grow.

A save carries the fences of its claim, and the write itself compares them with the stored ones, so
that a projector which was replaced while it worked cannot move progress, however late it wakes up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from slackwater.doorbell import Doorbell, Listener
from slackwater.errors import FencedError
from slackwater.event_log.port import TopicPartition
from slackwater.read_models import sqlite_dead_letters, sqlite_discards
from slackwater.read_models.dead_letters import DeadLetter, Hole, lacks_no_more
from slackwater.read_models.discards import Discard
from slackwater.read_models.progress import (
    ActiveVersionError,
    Claim,
    LeftVersionError,
    ModelVersion,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
    UnknownReadModelError,
    active_entry,
    left_timelines,
)
from slackwater.sqlite.driver import Connection
from slackwater.sqlite.file import SqliteFile

T = TypeVar("T")

_BELL = "progress"

_CREATE_READ_MODELS = """
    CREATE TABLE IF NOT EXISTS progress_read_models (
        read_model TEXT NOT NULL,
        version INTEGER NOT NULL,
        active INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        events_applied INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (read_model, version)
    ) WITHOUT ROWID
"""
_CREATE_PARTITIONS = """
    CREATE TABLE IF NOT EXISTS progress_partitions (
        read_model TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        position INTEGER NOT NULL,
        timeline TEXT,
        PRIMARY KEY (read_model, version, topic, partition)
    ) WITHOUT ROWID
"""
_CREATE_WRITTEN = """
    CREATE TABLE IF NOT EXISTS progress_written (
        read_model TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (read_model, version, topic, partition)
    ) WITHOUT ROWID
"""
_HAS_TIMELINE = "SELECT 1 FROM pragma_table_info('progress_partitions') WHERE name = 'timeline'"
_ADD_TIMELINE = "ALTER TABLE progress_partitions ADD COLUMN timeline TEXT"
_HAS_OUTDATED = "SELECT 1 FROM pragma_table_info('progress_read_models') WHERE name = 'outdated'"
_ADD_OUTDATED = "ALTER TABLE progress_read_models ADD COLUMN outdated INTEGER NOT NULL DEFAULT 0"
_HAS_STAMP = "SELECT 1 FROM pragma_table_info('progress_read_models') WHERE name = 'stamp'"
_ADD_STAMP = "ALTER TABLE progress_read_models ADD COLUMN stamp TEXT"
_OUTDATE = """
    UPDATE progress_read_models SET outdated = 1
    WHERE read_model = ? AND version <> ? AND NOT active
"""
_REGISTER = """
    INSERT INTO progress_read_models (read_model, version, active, state) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_ACTIVE = "SELECT version FROM progress_read_models WHERE read_model = ? AND active"
_IS_REGISTERED = "SELECT active FROM progress_read_models WHERE read_model = ? AND version = ?"
_CLAIM = """
    INSERT INTO progress_partitions (read_model, version, topic, partition, fence, position)
    VALUES (?, ?, ?, ?, 1, 0)
    ON CONFLICT DO UPDATE SET fence = fence + 1
    RETURNING fence, position, timeline
"""
_ADVANCE = """
    UPDATE progress_partitions
    SET position = max(position, ?), timeline = coalesce(?, timeline)
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND fence = ?
        AND position >= ?
"""
_NOTE_WRITTEN = """
    INSERT INTO progress_written (read_model, version, topic, partition, position)
    SELECT read_model, version, topic, partition, ? FROM progress_partitions
    WHERE read_model = ? AND version = ? AND topic = ? AND partition = ? AND fence = ?
    ON CONFLICT DO UPDATE SET position = max(position, excluded.position)
"""
_COUNT_EVENTS = """
    UPDATE progress_read_models SET events_applied = events_applied + ?
    WHERE read_model = ? AND version = ?
"""
_STAMP = """
    UPDATE progress_read_models SET stamp = max(coalesce(stamp, ''), ?)
    WHERE read_model = ? AND version = ?
"""
_SET_STATE = """
    UPDATE progress_read_models SET state = ?, reason = ? WHERE read_model = ? AND version = ?
"""
_IS_BEHIND = """
    SELECT 1 FROM progress_partitions AS old
    JOIN progress_read_models AS active
        ON active.read_model = old.read_model AND active.version = old.version AND active.active
    LEFT JOIN progress_partitions AS new
        ON new.read_model = old.read_model AND new.version = ?
        AND new.topic = old.topic AND new.partition = old.partition
    WHERE old.read_model = ? AND old.position > coalesce(new.position, 0)
        AND (new.timeline IS NULL OR new.timeline = coalesce(old.timeline, ''))
    LIMIT 1
"""
_ACTIVATE = "UPDATE progress_read_models SET active = (version = ?) WHERE read_model = ?"
_FORGET = (
    "DELETE FROM progress_read_models WHERE read_model = ? AND version = ?",
    "DELETE FROM progress_partitions WHERE read_model = ? AND version = ?",
    "DELETE FROM progress_written WHERE read_model = ? AND version = ?",
)
_LOAD_READ_MODELS = """
    SELECT read_model, version, active, state, reason, events_applied, outdated, stamp
    FROM progress_read_models ORDER BY read_model, version
"""
_LOAD_WRITTEN = """
    SELECT read_model, version, topic, partition, written.position FROM progress_written AS written
    JOIN progress_partitions AS shown USING (read_model, version, topic, partition)
    WHERE written.position > shown.position
"""
_LOAD_POSITIONS = """
    SELECT read_model, version, topic, partition, position, timeline FROM progress_partitions
"""


class SqliteProgressStore:
    """Progress on the file of its documents; its tables appear when it is first used."""

    def __init__(self, file: SqliteFile, doorbell: Doorbell) -> None:
        self._file = file
        self._doorbell = doorbell
        self._listener: Listener | None = None
        self._has_tables = False

    async def create_tables(self) -> None:
        """Create the tables of progress if they are missing; cheap after the first call."""
        if not self._has_tables:
            await self._file.write(_create_tables)
            self._has_tables = True

    async def register(self, model: ModelVersion) -> None:
        await self._write(lambda connection: _register(connection, model))
        self.announce()

    async def claim(self, model: ModelVersion, partitions: Sequence[TopicPartition]) -> Claim:
        return await self._write(lambda connection: _claim(connection, model, partitions))

    async def save(self, update: ProgressUpdate) -> None:
        """Save; a discard is on the disk before rows in another file go on without the event."""
        await self._write(lambda connection: advance(connection, update))
        if update.discarded:
            await self._file.sync()
        self.announce()

    async def holes(
        self, model: ModelVersion, at: TopicPartition, *, after: str = "", limit: int
    ) -> list[Hole]:
        return await self._read(
            lambda connection: sqlite_dead_letters.holes_in(connection, model, at, after, limit)
        )

    async def hole(self, model: ModelVersion, at: TopicPartition, key: str) -> Hole | None:
        return await self._read(
            lambda connection: sqlite_dead_letters.hole_of(connection, model, at, key)
        )

    async def letters(
        self, model: ModelVersion, hole: Hole, *, after: int = -1, limit: int
    ) -> list[DeadLetter]:
        return await self._read(
            lambda connection: sqlite_dead_letters.letters_of(connection, model, hole, after, limit)
        )

    async def discards(
        self, read_model: str, *, after: Discard | None = None, limit: int
    ) -> list[Discard]:
        return await self._read(
            lambda connection: sqlite_discards.page_of(connection, read_model, after, limit)
        )

    async def close_hole(self, model: ModelVersion, hole: Hole) -> bool:
        closed = await self._write(
            lambda connection: sqlite_dead_letters.close(connection, model, hole)
        )
        self.announce()
        return closed

    async def note_written(self, update: ProgressUpdate) -> None:
        await self._write(lambda connection: _note_written(connection, update))
        self.announce()

    async def set_state(
        self, model: ModelVersion, state: ReadModelState, reason: str | None = None
    ) -> None:
        await self._write(lambda connection: _set_state(connection, model, state, reason))
        self.announce()

    async def activate(self, model: ModelVersion) -> bool:
        activated = await self._write(lambda connection: _activate(connection, model))
        self.announce()
        return activated

    async def forget(self, model: ModelVersion) -> None:
        await self._write(lambda connection: _forget(connection, model))
        self.announce()

    async def load(self) -> list[ReadModelProgress]:
        return await self._read(_load)

    async def active(self, read_model: str) -> int | None:
        return await self._read(lambda connection: _active(connection, read_model))

    async def wait_for_change(self, *, timeout_ms: int) -> None:
        if self._listener is None:
            # Nobody listened until now, so anything may have changed: the caller must look.
            self._listener = self._doorbell.listen(_BELL)
            return
        await self._listener.wait(timeout_ms=timeout_ms)

    def announce(self) -> None:
        """Wake whoever waits for a change of progress."""
        self._doorbell.ring(_BELL)

    def close(self) -> None:
        """Stop listening; the file belongs to whoever opened it."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _read(self, work: Callable[[Connection], T]) -> T:
        await self.create_tables()
        return await self._file.read(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        await self.create_tables()
        return await self._file.write(work)


def advance(connection: Connection, update: ProgressUpdate) -> None:
    """Move progress forward inside the transaction of the effects that it covers.

    Raises:
        FencedError: a partition was not claimed, was claimed by somebody else since, or was put
            back.
        ConflictError: of a key that events are parked behind, nothing is parked any more.
        LeftVersionError: something is discarded, and a later version is active.
        UnknownReadModelError: no position moves, and the version was dropped.
    """
    claim = update.claim
    if not update.positions:
        _require_registered(connection, claim.model)
    for partition, position in update.positions.items():
        fence = claim.fences.get(partition)
        timeline = update.timelines.get(partition)
        moves_from = update.moves_from.get(partition, 0)
        parameters = (position, timeline, *claim.model, *partition, fence, moves_from)
        if connection.execute(_ADVANCE, parameters).rowcount == 0:
            raise FencedError(
                f"{claim.model.read_model} no longer owns partition {partition.partition} of "
                f"{partition.topic}, or was put back in it; stop writing and claim it anew"
            )
    sqlite_dead_letters.park(connection, claim.model, update.parked)
    if update.discarded:
        _discard(connection, update)
    if update.events_applied:
        connection.execute(_COUNT_EVENTS, (update.events_applied, *claim.model))
    if update.stamp is not None:
        connection.execute(_STAMP, (update.stamp, *claim.model))


def _active(connection: Connection, read_model: str) -> int | None:
    found = connection.execute(_ACTIVE, (read_model,)).fetchone()
    return found[0] if found is not None else None


def _discard(connection: Connection, update: ProgressUpdate) -> None:
    model = update.claim.model
    active = _active(connection, model.read_model)
    if active is not None and active > model.version:
        raise LeftVersionError(model)
    sqlite_discards.put(connection, model.read_model, update.discarded)
    connection.execute(_OUTDATE, model)


def _create_tables(connection: Connection) -> None:
    connection.execute(_CREATE_READ_MODELS)
    connection.execute(_CREATE_PARTITIONS)
    connection.execute(_CREATE_WRITTEN)
    sqlite_dead_letters.create_tables(connection)
    sqlite_discards.create_table(connection)
    if not connection.execute(_HAS_TIMELINE).fetchall():  # made before there were any
        connection.execute(_ADD_TIMELINE)
    if not connection.execute(_HAS_OUTDATED).fetchall():
        connection.execute(_ADD_OUTDATED)
    if not connection.execute(_HAS_STAMP).fetchall():
        connection.execute(_ADD_STAMP)


def _register(connection: Connection, model: ModelVersion) -> None:
    is_first = _active(connection, model.read_model) is None
    state = ReadModelState.RUNNING if is_first else ReadModelState.REBUILDING
    connection.execute(_REGISTER, (*model, is_first, state)).close()


def _claim(
    connection: Connection, model: ModelVersion, partitions: Sequence[TopicPartition]
) -> Claim:
    _require_registered(connection, model)
    fences, positions, timelines = {}, {}, {}
    for at in partitions:
        [(fence, position, timeline)] = connection.execute(_CLAIM, (*model, *at)).fetchall()
        fences[at], positions[at] = fence, position
        if timeline is not None:
            timelines[at] = timeline
    return Claim(model=model, fences=fences, positions=positions, timelines=timelines)


def _note_written(connection: Connection, update: ProgressUpdate) -> None:
    model, fences = update.claim.model, update.claim.fences
    for partition, position in update.positions.items():
        parameters = (position, *model, *partition, fences.get(partition))
        connection.execute(_NOTE_WRITTEN, parameters)


def _set_state(
    connection: Connection, model: ModelVersion, state: ReadModelState, reason: str | None
) -> None:
    if connection.execute(_SET_STATE, (state, reason, *model)).rowcount == 0:
        raise UnknownReadModelError(model)


def _activate(connection: Connection, model: ModelVersion) -> bool:
    _require_registered(connection, model)
    if connection.execute(_IS_BEHIND, (model.version, model.read_model)).fetchall():
        return False
    if not _may_follow(connection, model):
        return False
    connection.execute(_ACTIVATE, (model.version, model.read_model))
    _set_state(connection, model, ReadModelState.RUNNING, None)
    return True


def _may_follow(connection: Connection, model: ModelVersion) -> bool:
    """Tell whether nothing is parked or discarded that speaks against a switch."""
    entries = _load(connection)
    active = active_entry(entries, model.read_model)
    new = next(entry for entry in entries if entry.model == model)
    if new.is_outdated:
        return False
    return active is None or lacks_no_more(
        new.holes, active.holes, but_of=left_timelines(new, active)
    )


def _forget(connection: Connection, model: ModelVersion) -> None:
    if connection.execute(_IS_REGISTERED, model).fetchall() == [(1,)]:
        raise ActiveVersionError(model)
    for statement in _FORGET:
        connection.execute(statement, model)
    sqlite_dead_letters.forget(connection, model)


def _require_registered(connection: Connection, model: ModelVersion) -> None:
    if not connection.execute(_IS_REGISTERED, model).fetchall():
        raise UnknownReadModelError(model)


def _load(connection: Connection) -> list[ReadModelProgress]:
    positions: defaultdict[ModelVersion, dict[TopicPartition, int]] = defaultdict(dict)
    timelines: defaultdict[ModelVersion, dict[TopicPartition, str]] = defaultdict(dict)
    written: defaultdict[ModelVersion, dict[TopicPartition, int]] = defaultdict(dict)
    for read_model, version, topic, partition, position, timeline in connection.execute(
        _LOAD_POSITIONS
    ):
        model, at = ModelVersion(read_model, version), TopicPartition(topic, partition)
        positions[model][at] = position
        if timeline is not None:
            timelines[model][at] = timeline
    for read_model, version, topic, partition, position in connection.execute(_LOAD_WRITTEN):
        written[ModelVersion(read_model, version)][TopicPartition(topic, partition)] = position
    return [
        ReadModelProgress(
            model=(model := ModelVersion(read_model, version)),
            active=bool(active),
            state=ReadModelState(state),
            reason=reason,
            positions=positions[model],
            timelines=timelines[model],
            events_applied=events_applied,
            written=written[model],
            holes=sqlite_dead_letters.listed_holes(connection, model),
            is_outdated=bool(outdated),
            stamp=stamp,
        )
        for (
            read_model,
            version,
            active,
            state,
            reason,
            events_applied,
            outdated,
            stamp,
        ) in connection.execute(_LOAD_READ_MODELS)
    ]
