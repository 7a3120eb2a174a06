"""One streaming session on a replication slot of PostgreSQL.

The server sends what is committed as soon as its log is on disk; what was confirmed it need not
send again. A slot belongs to one session at a time: whoever streams from it keeps all others off.
psycopg has no such session, so this drives the few calls of libpq that one takes ("Streaming
Replication Protocol" in PostgreSQL's manual).
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Mapping, Sequence
from struct import Struct

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

from slackwater.database.port import DatabaseError, LostLeaseError
from slackwater.database.postgresql_connection import RawConnection, connect

_READ_MAX = 1_000
_STATUS_INTERVAL_S = 1.0
_SENDER_TIMEOUT = "10s"  # after which silence of ours the server gives the slot free
_DATA = ord("w")
_DATA_HEADER = Struct("!cqqq")
_KEEPALIVE = Struct("!cqqb")
_STATUS = Struct("!cqqqqb")
_IN_USE = "55006"


class SlotInUseError(LostLeaseError):
    """Another session streams from the slot; wait until it has ended."""


class SlotLostError(DatabaseError):
    """The server has removed log that the slot still needed; what it held is lost to it."""


class ReplicationStream:
    """Streams the changes of one slot; use it from one task, and close it."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._arrived = select.poll()
        self._arrived.register(self._libpq.socket, select.POLLIN)
        self._confirmed = 0
        self._told_s = time.monotonic()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        name: str,
        slot: str,
        publications: Sequence[str],
        options: Mapping[str, str],
    ) -> ReplicationStream:
        """Begin behind what was confirmed last.

        Raises:
            SlotInUseError: another session has the slot.
            SlotLostError: the slot cannot go on.
            DatabaseError: the server cannot be asked now.
        """
        connection = await asyncio.to_thread(_connect, url, name)
        try:
            stream = cls(connection)
            names = ",".join(f'"{publication}"' for publication in publications)
            asked = {**options, "publication_names": names}
            await asyncio.to_thread(stream._start, slot, asked)
        except BaseException:
            connection.close()
            raise
        return stream

    async def read(self, *, timeout_ms: int) -> list[bytes]:
        """Return the messages that have come, up to a thousand; none when the time is up.

        Raises:
            DatabaseError: the session has ended.
        """
        self._tell_if_due()
        messages = self._take_all()
        if not messages:
            await self._wait(min(timeout_ms / 1000, _STATUS_INTERVAL_S))
            messages = self._take_all()
        return messages

    def confirm(self, lsn: int) -> None:
        """Say that nothing that lies before `lsn` need ever come again."""
        if lsn > self._confirmed:
            self._confirmed = lsn
            self._tell()

    def close(self) -> None:
        self._connection.close()

    def _start(self, slot: str, options: Mapping[str, str]) -> None:
        asked = ", ".join(f"{name} '{value}'" for name, value in options.items())
        command = f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0 ({asked})'
        started = self._libpq.exec_(command.encode())
        if started.status == ExecStatus.COPY_BOTH:
            return
        reason = (started.error_message or b"").decode(errors="replace").strip()
        if started.error_field(DiagnosticField.SQLSTATE) == _IN_USE.encode():
            raise SlotInUseError(f"the slot {slot} is in use: {reason}; wait until it is free")
        if "can no longer" in reason or "does not exist" in reason:
            raise SlotLostError(f"the slot {slot} cannot go on: {reason}")
        raise DatabaseError(f"the slot {slot} cannot be streamed: {reason}; see the server's log")

    def _take_all(self) -> list[bytes]:
        """Take what has come, not only what libpq fetches at once: that are some kilobytes."""
        messages = self._take_buffered(_READ_MAX)
        while len(messages) < _READ_MAX and self._arrived.poll(0):
            self._consume()
            taken = self._take_buffered(_READ_MAX - len(messages))
            if not taken:
                break  # a message that has not come whole
            messages += taken
        return messages

    def _take_buffered(self, most: int) -> list[bytes]:
        messages: list[bytes] = []
        while len(messages) < most:
            length, data = self._libpq.get_copy_data(1)
            if length == 0:
                break
            if length < 0:
                raise DatabaseError("the server has ended the stream; open another")
            if data[0] == _DATA:
                messages.append(bytes(data[_DATA_HEADER.size :]))
            else:
                self._answer(bytes(data))
        return messages

    def _answer(self, keepalive: bytes) -> None:
        *_, wants_answer = _KEEPALIVE.unpack_from(keepalive)
        if wants_answer:
            self._tell()

    def _tell_if_due(self) -> None:
        if time.monotonic() - self._told_s >= _STATUS_INTERVAL_S:
            self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        at = self._confirmed
        try:
            self._libpq.put_copy_data(_STATUS.pack(b"r", at, at, at, 0, 0))
            self._libpq.flush()
        except psycopg.OperationalError as error:
            raise _ended(error) from error

    def _consume(self) -> None:
        try:
            self._libpq.consume_input()
        except psycopg.OperationalError as error:
            raise _ended(error) from error

    async def _wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._libpq.socket, readable.set)
        try:
            async with asyncio.timeout(timeout_s):
                await readable.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(self._libpq.socket)


def _connect(url: str, name: str) -> RawConnection:
    settings = {"wal_sender_timeout": _SENDER_TIMEOUT, "statement_timeout": "0"}
    return connect(url, name=name, settings=settings, replication=True)


def _ended(error: psycopg.OperationalError) -> DatabaseError:
    return DatabaseError(f"the stream has ended: {error}; open another")
