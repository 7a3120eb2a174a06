"""Doorbells over PostgreSQL's LISTEN and NOTIFY: they reach every process, on whatever machine.

A ring is a transaction of its own beside those that committed the news. Inside them it would never
be lost, but transactions that notify commit one after another, in the whole server: the flush that
many could share would be done for each. What a lost ring costs is one heartbeat.

One connection listens, from the first listener on: a process that only rings is not woken by what
others ring. When it was lost, every listener is woken once another one listens, because rings may
have been missed in between.
"""

from __future__ import annotations

import threading
from functools import cache
from hashlib import sha256

import psycopg

from slackwater.backoff import backoff
from slackwater.database.port import DatabaseError
from slackwater.database.postgresql_connection import RawConnection, connect
from slackwater.doorbell import DoorbellCapability
from slackwater.local_doorbell import LocalDoorbell, LocalListener

_CHANNEL = "slackwater_doorbell"
_NOTIFY = "SELECT pg_notify(%s, each) FROM unnest(%s::text[]) each"
_LOOK_INTERVAL_S = 0.2
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 5.0
_JOIN_S = 2.0


class PostgresqlDoorbell:
    """Implements `Doorbell` for all processes that use the same database."""

    capabilities = frozenset(DoorbellCapability)

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = LocalDoorbell()
        self._closing = threading.Event()
        self._ringer = _Ringer(url)
        self._starting = threading.Lock()
        self._hearing: threading.Thread | None = None

    def ring(self, name: str) -> None:
        if not self._closing.is_set():
            self._local.ring(_payload_of(name))
            self._ringer.ring(_payload_of(name))

    def listen(self, name: str) -> LocalListener:
        listener = self._local.listen(_payload_of(name))
        self._begin_to_hear()
        return listener

    def close(self) -> None:
        with self._starting:
            self._closing.set()
        self._ringer.close()
        if self._hearing is not None:
            self._hearing.join(_JOIN_S)
        self._local.close()

    def _begin_to_hear(self) -> None:
        with self._starting:
            if self._hearing is None and not self._closing.is_set():
                self._hearing = threading.Thread(target=self._hear, name="doorbell", daemon=True)
                self._hearing.start()

    def _hear(self) -> None:
        """Listen until closed; whatever is lost is found again."""
        delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
        while not self._closing.is_set():
            try:
                with connect(self._url, name="slackwater doorbell") as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    self._local.ring_all()
                    delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
                    self._hear_on(connection)
            except (DatabaseError, psycopg.OperationalError):
                self._closing.wait(next(delays_s))

    def _hear_on(self, connection: RawConnection) -> None:
        while not self._closing.is_set():
            for notify in connection.notifies(timeout=_LOOK_INTERVAL_S):
                if notify.pid != self._ringer.pid:  # our own rings were heard at once
                    self._local.ring(notify.payload)


class _Ringer:
    """Sends what was rung since it last sent, each bell once; what cannot be sent is dropped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._due: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        self.pid: int | None = None
        self._thread = threading.Thread(target=self._run, name="doorbell ringer", daemon=True)
        self._thread.start()

    def ring(self, payload: str) -> None:
        with self._changed:
            self._due.add(payload)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        connection: RawConnection | None = None
        delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
        while (due := self._next_due()) is not None:
            try:
                connection = connection or self._connect()
                _send(connection, due)
                delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
            except (DatabaseError, psycopg.OperationalError):
                _close(connection)
                connection = None
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, next(delays_s))
        _close(connection)

    def _next_due(self) -> list[str] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._due or self._closed)
            due, self._due = sorted(self._due), set()
            return None if self._closed and not due else due

    def _connect(self) -> RawConnection:
        # Nothing of a ring needs the disk.
        connection = connect(
            self._url, name="slackwater ringer", settings={"synchronous_commit": "off"}
        )
        self.pid = connection.info.backend_pid
        return connection


def _send(connection: RawConnection, payloads: list[str]) -> None:
    connection.execute(_NOTIFY, [_CHANNEL, payloads])


def _close(connection: RawConnection | None) -> None:
    if connection is not None:
        connection.close()


@cache
def _payload_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:16]
