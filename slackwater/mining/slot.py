"""The replication slot of a source: the place in the write-ahead log from which it is streamed.

    publications ──► slot ──► anything that only the log will tell of
         └── the plugin looks them up as they were at each change: they must be older than the slot

So where there are publications there was a slot. One that is gone was lost: by an administrator,
with a failover to a replica, in a restore (no backup holds slots), or because it held back more
log than the server may keep (`max_slot_wal_keep_size`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from psycopg import sql
from psycopg.errors import InsufficientPrivilege, ObjectNotInPrerequisiteState

from slackwater.database.postgresql_connection import RawConnection
from slackwater.errors import ConfigurationError
from slackwater.logs import logger

_PLUGIN = "pgoutput"
_NAME_MAX = 63
_log = logger("miner")


class UnminableError(ConfigurationError):
    """The server or the role does not allow its log to be mined; the message says the remedy."""


class Published(NamedTuple):
    """A table whose changes are streamed, and which kinds: `insert`, `update`, `delete`."""

    table: str
    kinds: tuple[str, ...]


class SlotState(NamedTuple):
    """What the server says of a slot; `retained_bytes` is the log that it keeps from removal."""

    is_lost: bool
    retained_bytes: int


class Slot:
    """The slot of one source, named after its schema; calls work on the database's primary."""

    def __init__(self, schema: str, published: Sequence[Published]) -> None:
        self._schema = schema
        self._published = published
        self.name = schema

    @property
    def publications(self) -> list[str]:
        """One for each choice of kinds: a publication streams the same of all its tables."""
        return sorted({self._publication_of(each) for each in self._published})

    def prepare(self, connection: RawConnection) -> None:
        """Make publications and slot if they have never been made.

        It waits until every transaction that is open now has ended.

        Raises:
            UnminableError: they cannot be made; the message says what is to be done.
        """
        with _allowed(), self._alone(connection):
            if not self._is_published(connection):
                self._publish(connection)
                self._make(connection)

    def make_again(self, connection: RawConnection) -> None:
        """Put a new slot, from now on, in the place of a lost one.

        Raises:
            UnminableError: it cannot be made; the message says what is to be done.
        """
        with _allowed(), self._alone(connection):
            self.drop(connection)
            self._make(connection)

    def drop(self, connection: RawConnection) -> None:
        """Let the server remove the log; what was not streamed is lost with it."""
        if self.state(connection) is not None:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [self.name])

    def is_lost(self, connection: RawConnection) -> bool:
        state = self.state(connection)
        return state is None or state.is_lost

    def state(self, connection: RawConnection) -> SlotState | None:
        """Return how the slot is; None where there is none, or it is still being made.

        Raises:
            UnminableError: it is another database's.
        """
        found = connection.execute(
            "SELECT database = current_database(), coalesce(wal_status = 'lost', false), "
            "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint "
            "FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn IS NOT NULL",
            [self.name],
        ).fetchone()
        if found is None:
            return None
        is_ours, is_lost, retained_bytes = found
        if not is_ours:
            raise UnminableError(
                f"the slot {self.name} belongs to another database of this server; choose another "
                "SLACKWATER_NAMESPACE"
            )
        return SlotState(bool(is_lost), int(str(retained_bytes)))

    def _is_published(self, connection: RawConnection) -> bool:
        found = connection.execute(
            "SELECT count(*) FROM pg_publication WHERE pubname = ANY(%s)", [self.publications]
        )
        return found.fetchone() == (len(self.publications),)

    def _publish(self, connection: RawConnection) -> None:
        """All in one transaction: what is there in part was never there."""
        with connection.transaction():
            for name in self.publications:
                alike = [each for each in self._published if self._publication_of(each) == name]
                tables = [sql.Identifier(self._schema, each.table) for each in alike]
                statement = sql.SQL(
                    "CREATE PUBLICATION {} FOR TABLE {} WITH (publish = {})"
                ).format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(tables),
                    sql.Literal(", ".join(alike[0].kinds)),
                )
                connection.execute(statement)

    def _publication_of(self, published: Published) -> str:
        return "_".join([self._schema, *published.kinds])[:_NAME_MAX]

    def _make(self, connection: RawConnection) -> None:
        make = "SELECT pg_create_logical_replication_slot(%s, %s)"
        connection.execute(make, [self.name, _PLUGIN])
        _log.info("slot made", slot=self.name)

    @contextmanager
    def _alone(self, connection: RawConnection) -> Iterator[None]:
        """Keep others from making the same; no transaction may stay open while a slot is made."""
        key = f"slackwater slot {self.name}"
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
        try:
            yield
        finally:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


@contextmanager
def _allowed() -> Iterator[None]:
    try:
        yield
    except InsufficientPrivilege as error:
        raise UnminableError(
            f"the role may not mine the log: {error.diag.message_primary}; give it that right with "
            "ALTER ROLE … REPLICATION and GRANT CREATE ON DATABASE …"
        ) from error
    except ObjectNotInPrerequisiteState as error:
        raise UnminableError(
            f"the log cannot be mined: {error.diag.message_primary}; set wal_level = logical and "
            "restart the server"
        ) from error
