"""One streaming session on a replication slot of PostgreSQL.

The server sends what is committed as soon as its log is on disk; what was confirmed it need not
send again. A slot belongs to one session at a time: whoever streams from it keeps all others off,
until the server has heard nothing for ten seconds. psycopg has no such session, so this drives the
few calls of libpq that one takes ("Streaming Replication Protocol" in PostgreSQL's manual).
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import NamedTuple

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from slackwater.database.port import DatabaseError, LostLeaseError
from slackwater.database.postgresql_connection import RawConnection, connect
from slackwater.mining.pgoutput import TEXTS

_READ_MAX = 1_000
_READ_BYTES_MAX = 4 << 20
_TELL_INTERVAL_S = 1.0
_SENDER_TIMEOUT = "10s"
_START_TIMEOUT = "30s"
_DATA = ord("w")
_DATA_HEADER = Struct("!cqqq")
_KEEPALIVE = Struct("!cqqb")
_STATUS = Struct("!cqqqqb")
_IN_USE = b"55006"


class MadeSlot(NamedTuple):
    """A slot that has just been made: it brings all that lies behind `lsn`, and `snapshot` names
    what lies before.
    """

    lsn: int
    snapshot: str


class SlotInUseError(LostLeaseError):
    """Another session streams from the slot; wait until it has ended."""


class ReplicationStream:
    """Streams the changes of one slot; use it from one event loop, and close it."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._socket = self._libpq.socket
        self._arrived = select.poll()
        self._arrived.register(self._socket, select.POLLIN)
        self._confirmed = 0

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
            DatabaseError: the server cannot be asked now, or the slot cannot go on.
        """
        names = ",".join(f'"{publication}"' for publication in publications)
        asked = {**options, "publication_names": names}
        opening = asyncio.create_task(asyncio.to_thread(cls._open, url, name, slot, asked))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if opening.exception() is None:
                opening.result().close()  # or it would keep the slot from others
            raise

    @classmethod
    def _open(cls, url: str, name: str, slot: str, asked: Mapping[str, str]) -> ReplicationStream:
        settings = {
            **TEXTS,
            "wal_sender_timeout": _SENDER_TIMEOUT,
            "statement_timeout": _START_TIMEOUT,
        }
        connection = connect(url, name=name, settings=settings, replication=True)
        try:
            stream = cls(connection)
            stream._start(slot, asked)
        except BaseException:
            connection.close()
            raise
        return stream

    async def read(self, *, timeout_ms: int) -> list[bytes]:
        """Return the messages that have come, up to some thousand; none when the time is up.

        Raises:
            DatabaseError: the session has ended.
        """
        messages = self._take_all()
        if not messages:
            await self._wait(timeout_ms / 1000)
            messages = self._take_all()
        return messages

    async def keep_telling(self) -> None:
        """Tell the server every second that somebody is there, whatever else goes on.

        Raises:
            DatabaseError: the session has ended.
        """
        while True:
            self._tell()
            await asyncio.sleep(_TELL_INTERVAL_S)

    def confirm(self, lsn: int) -> None:
        """Say that nothing that lies before `lsn` need ever come again.

        Raises:
            DatabaseError: the session has ended.
        """
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
        if started.error_field(DiagnosticField.SQLSTATE) == _IN_USE:
            raise SlotInUseError(f"the slot {slot} is in use: {reason}; wait until it is free")
        raise DatabaseError(f"the slot {slot} cannot be streamed: {reason}; see the server's log")

    def _take_all(self) -> list[bytes]:
        """Take what has come, not only what libpq fetches at once: that are some kilobytes."""
        messages: list[bytes] = []
        size, has_fetched = 0, False
        try:
            while len(messages) < _READ_MAX and size < _READ_BYTES_MAX:
                length, data = self._libpq.get_copy_data(1)
                if length < 0:
                    raise DatabaseError("the server has ended the stream; open another")
                if length > 0:
                    size, has_fetched = size + length, False
                    self._take(bytes(data), messages)
                elif has_fetched and not self._arrived.poll(0):
                    break
                else:  # at least once, because TLS may hold what no socket shows
                    self._libpq.consume_input()
                    has_fetched = True
        except psycopg.OperationalError as error:
            raise _ended(error) from error
        return messages

    def _take(self, message: bytes, messages: list[bytes]) -> None:
        if message[0] == _DATA:
            messages.append(message[_DATA_HEADER.size :])
        elif _KEEPALIVE.unpack_from(message)[-1]:
            self._tell()

    def _tell(self) -> None:
        at = self._confirmed
        try:
            self._libpq.put_copy_data(_STATUS.pack(b"r", at, at, at, 0, 0))
            self._libpq.flush()
        except psycopg.OperationalError as error:
            raise _ended(error) from error

    async def _wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            async with asyncio.timeout(timeout_s):
                await readable.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(self._socket)


def make_slot(connection: RawConnection, name: str, plugin: str) -> MadeSlot:
    """Make a slot in a replication session; the snapshot can be used while that does nothing else.

    It waits until every transaction that is open now has ended.

    Raises:
        psycopg.Error: it cannot be made.
    """
    command = f'CREATE_REPLICATION_SLOT "{name}" LOGICAL {plugin} EXPORT_SNAPSHOT'
    made = connection.pgconn.exec_(command.encode())
    if made.status != ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(made)
    _, lsn, snapshot, _ = (_text_of(made, column) for column in range(4))
    high, low = lsn.split("/")
    return MadeSlot((int(high, 16) << 32) + int(low, 16), snapshot)


def _text_of(result: PGresult, column: int) -> str:
    return (result.get_value(0, column) or b"").decode()


def _ended(error: psycopg.OperationalError) -> DatabaseError:
    return DatabaseError(f"the stream has ended: {error}; open another")
