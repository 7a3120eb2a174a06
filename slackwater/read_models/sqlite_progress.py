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
from slackwater.read_models.progress import (
    Claim,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
    UnknownReadModelError,
)
from slackwater.sqlite.driver import Connection
from slackwater.sqlite.file import SqliteFile

T = TypeVar("T")

_BELL = "progress"

_CREATE_READ_MODELS = """
    CREATE TABLE IF NOT EXISTS progress_read_models (
        read_model TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        events_applied INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
"""
_CREATE_PARTITIONS = """
    CREATE TABLE IF NOT EXISTS progress_partitions (
        read_model TEXT NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (read_model, topic, partition)
    ) WITHOUT ROWID
"""
_REGISTER = """
    INSERT INTO progress_read_models (read_model, version, state) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_IS_REGISTERED = "SELECT 1 FROM progress_read_models WHERE read_model = ?"
_CLAIM = """
    INSERT INTO progress_partitions (read_model, topic, partition, fence, position)
    VALUES (?, ?, ?, 1, 0)
    ON CONFLICT DO UPDATE SET fence = fence + 1
    RETURNING fence, position
"""
_ADVANCE = """
    UPDATE progress_partitions SET position = max(position, ?)
    WHERE read_model = ? AND topic = ? AND partition = ? AND fence = ?
"""
_COUNT_EVENTS = """
    UPDATE progress_read_models SET events_applied = events_applied + ? WHERE read_model = ?
"""
_SET_STATE = "UPDATE progress_read_models SET state = ?, reason = ? WHERE read_model = ?"
_LOAD_READ_MODELS = """
    SELECT read_model, version, state, reason, events_applied FROM progress_read_models
    ORDER BY read_model
"""
_LOAD_POSITIONS = "SELECT read_model, topic, partition, position FROM progress_partitions"


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

    async def register(self, read_model: str, version: int) -> None:
        parameters = (read_model, version, ReadModelState.RUNNING)
        await self._write(lambda connection: connection.execute(_REGISTER, parameters).rowcount)
        self.announce()

    async def claim(self, read_model: str, partitions: Sequence[TopicPartition]) -> Claim:
        """Fence off every earlier claim on these partitions and return where to go on.

        Raises:
            UnknownReadModelError: the read model is not registered.
        """
        return await self._write(lambda connection: _claim(connection, read_model, partitions))

    async def save(self, update: ProgressUpdate) -> None:
        await self._write(lambda connection: advance(connection, update))
        self.announce()

    async def set_state(
        self, read_model: str, state: ReadModelState, reason: str | None = None
    ) -> None:
        """Say how the read model fares.

        Raises:
            UnknownReadModelError: the read model is not registered.
        """
        await self._write(lambda connection: _set_state(connection, read_model, state, reason))
        self.announce()

    async def load(self) -> list[ReadModelProgress]:
        await self.create_tables()
        return await self._file.read(_load)

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

    async def _write(self, work: Callable[[Connection], T]) -> T:
        await self.create_tables()
        return await self._file.write(work)


def advance(connection: Connection, update: ProgressUpdate) -> None:
    """Move progress forward inside the transaction of the effects that it covers.

    Raises:
        FencedError: a partition was not claimed, or was claimed by somebody else since.
    """
    claim = update.claim
    for partition, position in update.positions.items():
        fence = claim.fences.get(partition)
        place = (claim.read_model, partition.topic, partition.partition)
        if connection.execute(_ADVANCE, (position, *place, fence)).rowcount == 0:
            raise FencedError(
                f"{claim.read_model} no longer owns partition {partition.partition} of "
                f"{partition.topic}; stop writing and claim it anew"
            )
    if update.events_applied:
        connection.execute(_COUNT_EVENTS, (update.events_applied, claim.read_model))


def _create_tables(connection: Connection) -> None:
    connection.execute(_CREATE_READ_MODELS)
    connection.execute(_CREATE_PARTITIONS)


def _claim(connection: Connection, read_model: str, partitions: Sequence[TopicPartition]) -> Claim:
    if not connection.execute(_IS_REGISTERED, (read_model,)).fetchall():
        raise UnknownReadModelError(read_model)
    fences, positions = {}, {}
    for partition in partitions:
        [(fence, position)] = connection.execute(_CLAIM, (read_model, *partition)).fetchall()
        fences[partition], positions[partition] = fence, position
    return Claim(read_model=read_model, fences=fences, positions=positions)


def _set_state(
    connection: Connection, read_model: str, state: ReadModelState, reason: str | None
) -> None:
    if connection.execute(_SET_STATE, (state, reason, read_model)).rowcount == 0:
        raise UnknownReadModelError(read_model)


def _load(connection: Connection) -> list[ReadModelProgress]:
    positions: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)
    for read_model, topic, partition, position in connection.execute(_LOAD_POSITIONS):
        positions[read_model][TopicPartition(topic, partition)] = position
    return [
        ReadModelProgress(
            read_model=read_model,
            version=version,
            state=ReadModelState(state),
            reason=reason,
            positions=positions[read_model],
            events_applied=events_applied,
        )
        for read_model, version, state, reason, events_applied in connection.execute(
            _LOAD_READ_MODELS
        )
    ]
