"""Consumer groups in an SQLite file: who is a member, and whether all have let go.

A member lives by renewing a lease. Leases are told by the machine's monotonic clock together with
the id of its boot, so a step of the wall clock does nothing and a reboot ends them all. Whenever
the members change, the group's generation grows; it is settled when every member has let go of
what it owned before, so that a batch in hand is finished before another member gets its partitions.
A member that does not let go for the length of a lease is not waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from slackwater.event_log.new_file import create_file
from slackwater.sqlite.driver import Connection, Synchronous
from slackwater.sqlite.file import SqliteFile

_SCHEMA = """
CREATE TABLE groups (
    name TEXT PRIMARY KEY, generation INTEGER NOT NULL, raised_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE members (
    member INTEGER PRIMARY KEY AUTOINCREMENT, group_name TEXT NOT NULL, topics BLOB NOT NULL,
    boot_id TEXT NOT NULL, renewed_ns INTEGER NOT NULL, let_go INTEGER NOT NULL
) STRICT;
CREATE INDEX members_of ON members (group_name);
"""
_EXPIRE = (
    "DELETE FROM members WHERE group_name = ? AND (boot_id <> ? OR renewed_ns NOT BETWEEN ? AND ?)"
)
_RENEW = "UPDATE members SET renewed_ns = ?, let_go = ? WHERE member = ?"
_JOIN = (
    "INSERT INTO members (group_name, topics, boot_id, renewed_ns, let_go) VALUES (?, ?, ?, ?, 0)"
)
_RAISE = (
    "INSERT INTO groups VALUES (?, 1, ?) ON CONFLICT (name) DO UPDATE "
    "SET generation = generation + 1, raised_ns = excluded.raised_ns"
)
_READ_GENERATION = "SELECT generation, raised_ns FROM groups WHERE name = ?"
_READ_MEMBERS = "SELECT member, topics, let_go FROM members WHERE group_name = ?"
_LEAVE = "DELETE FROM members WHERE member = ?"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_encode_topics = msgspec.json.Encoder().encode
_decode_topics = msgspec.json.Decoder(frozenset[str]).decode


class Attendance(NamedTuple):
    """What a member knows of its group from its latest heartbeat."""

    member: int
    generation: int
    members: dict[int, frozenset[str]]
    settled: bool
    renewed_ns: int


class Groups:
    """All consumer groups of one log; open them with `open_groups`."""

    def __init__(
        self, file: SqliteFile, *, boot_id: str, lease_ms: int, monotonic_ns: Callable[[], int]
    ) -> None:
        self._file = file
        self._boot_id = boot_id
        self._lease_ns = lease_ms * 1_000_000
        self._monotonic_ns = monotonic_ns

    async def attend(
        self, group: str, topics: Sequence[str], *, member: int | None, let_go: int
    ) -> Attendance:
        """Renew the lease of `member`; join (anew) with a new number if it holds none.

        Args:
            group: the group's name.
            topics: what the member reads.
            member: the number it had; None to join.
            let_go: the newest generation for which it has let go of what it owned before.
        """
        return await self._file.write(
            partial(self._attend, group=group, topics=topics, member=member, let_go=let_go)
        )

    async def leave(self, group: str, member: int) -> None:
        """End the lease at once."""
        await self._file.write(partial(self._leave, group=group, member=member))

    def is_lapsed(self, attendance: Attendance) -> bool:
        """Tell whether others may have expelled the member since its latest heartbeat."""
        return self._monotonic_ns() - attendance.renewed_ns >= self._lease_ns

    async def close(self) -> None:
        await self._file.close()

    def _attend(
        self,
        connection: Connection,
        group: str,
        topics: Sequence[str],
        member: int | None,
        let_go: int,
    ) -> Attendance:
        now_ns = self._monotonic_ns()  # the write lock is held: clock readings follow one another
        expired = connection.execute(
            _EXPIRE, (group, self._boot_id, now_ns - self._lease_ns + 1, now_ns)
        )
        renewed = connection.execute(_RENEW, (now_ns, let_go, member))
        if member is None or renewed.rowcount == 0:
            row = (group, _encode_topics(topics), self._boot_id, now_ns)
            member = connection.execute(_JOIN, row).lastrowid
            assert member is not None
            connection.execute(_RAISE, (group, now_ns))
        elif expired.rowcount > 0:
            connection.execute(_RAISE, (group, now_ns))
        return self._read(connection, group, member, now_ns)

    def _leave(self, connection: Connection, group: str, member: int) -> None:
        if connection.execute(_LEAVE, (member,)).rowcount > 0:
            connection.execute(_RAISE, (group, self._monotonic_ns()))

    def _read(self, connection: Connection, group: str, member: int, now_ns: int) -> Attendance:
        generation, raised_ns = connection.execute(_READ_GENERATION, (group,)).fetchone()
        rows = connection.execute(_READ_MEMBERS, (group,)).fetchall()
        all_let_go = all(let_go >= generation for _, _, let_go in rows)
        return Attendance(
            member=member,
            generation=generation,
            members={number: _decode_topics(topics) for number, topics, _ in rows},
            settled=all_let_go or now_ns - raised_ns >= self._lease_ns,
            renewed_ns=now_ns,
        )


async def open_groups(
    path: Path, *, lease_ms: int, monotonic_ns: Callable[[], int] = time.monotonic_ns
) -> Groups:
    """Open the file of all groups, and create it first when it is missing."""
    await asyncio.to_thread(create_file, path, _build)
    # A power cut may undo the newest rows, and ends every lease in them anyway.
    file = SqliteFile(path, Synchronous.NORMAL)
    boot_id = await asyncio.to_thread(_boot_id)
    return Groups(file, boot_id=boot_id, lease_ms=lease_ms, monotonic_ns=monotonic_ns)


def _build(connection: Connection) -> None:
    connection.executescript(_SCHEMA)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"  # after a reboot the clock starts anew, and leases from its future end
