"""The replication slot of a source: the place in the write-ahead log from which it is streamed.

    publications ──► slot ──► mined
         └── the plugin looks them up as they were at each change: they must be older than the slot

The leading miner alone makes slots, at its first lead and where one was lost: dropped, left behind
by a failover or a restore, or given up by the server because it held back more log than it may
(`max_slot_wal_keep_size`). Nothing is lost with it where events are rows, because those wait in
their table until they are marked. Where events are made of the log, a slot holds on to a position
(`slackwater.outbox.mined`): if it has confirmed no more than what has become rows, nothing between
is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

from psycopg import sql
from psycopg.errors import (
    ConfigurationLimitExceeded,
    InsufficientPrivilege,
    ObjectNotInPrerequisiteState,
)

from slackwater.database.postgresql_connection import RawConnection
from slackwater.errors import ConfigurationError
from slackwater.logs import logger

PLUGIN = "pgoutput"
_NAME_MAX = 63
_KINDS = ("insert", "update", "delete", "truncate")
_log = logger("miner")


class UnminableError(ConfigurationError):
    """The server or the role does not allow its log to be mined; the message says the remedy."""


class Published(NamedTuple):
    """A table whose changes are streamed.

    `kinds` are some of `insert`, `update`, `delete` and `truncate`. What is not `is_asked` for is
    not streamed, but can be from the same slot later. With `whole_rows` updates and deletes show
    what rows were before.
    """

    table: str
    kinds: tuple[str, ...]
    is_asked: bool = True
    whole_rows: bool = False


class Slot:
    """The slot of one source, named after its schema; calls work on the database's primary.

    Each table has a publication of its own, because one streams the same kinds of all its tables.
    """

    def __init__(self, schema: str, published: Sequence[Published]) -> None:
        self._schema = schema
        self._published = {_name(schema, each.table): each for each in published}
        self.name = schema

    @property
    def publications(self) -> list[str]:
        """The names of those that are asked for."""
        return [name for name, each in self._published.items() if each.is_asked]

    def is_ready(self, connection: RawConnection) -> bool:
        """Tell whether it can be streamed, and streams what it should.

        Raises:
            UnminableError: there is another's slot of this name.
        """
        return self._is_there(connection) and self._are_published(connection)

    def is_behind(self, connection: RawConnection, lsn: int) -> bool:
        """Tell whether it can be streamed, and will bring everything that lies behind `lsn`.

        Raises:
            UnminableError: there is another's slot of this name.
        """
        if not self._is_there(connection):
            return False
        confirmed = connection.execute(
            "SELECT pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint <= %s "
            "FROM pg_replication_slots WHERE slot_name = %s",
            [lsn, self.name],
        ).fetchone()
        return confirmed is not None and bool(confirmed[0])

    def has_publications(self, connection: RawConnection) -> bool:
        """Tell whether those that are asked for are there, whatever they stream now."""
        asked = "SELECT count(*) FROM pg_publication WHERE pubname = ANY(%s)"
        found = connection.execute(asked, [self.publications]).fetchone()
        return found == (len(self.publications),)

    def mend_publications(self, connection: RawConnection) -> None:
        """Have those that are asked for stream again what they should, from now on.

        Raises:
            UnminableError: that is not allowed; the message says what is to be done.
        """
        with allowed(), self._alone(connection), connection.transaction():
            for name in self.publications:
                self._alter(connection, sql.Identifier(name), self._published[name])

    def _alter(
        self, connection: RawConnection, publication: sql.Identifier, each: Published
    ) -> None:
        table = sql.Identifier(self._schema, each.table)
        alter = sql.SQL("ALTER PUBLICATION {} SET TABLE {}")
        connection.execute(alter.format(publication, table))
        kinds = sql.Literal(", ".join(each.kinds))
        alter = sql.SQL("ALTER PUBLICATION {} SET (publish = {})")
        connection.execute(alter.format(publication, kinds))

    def retained_bytes(self, connection: RawConnection) -> int | None:
        """Return how much log the server keeps for it, 0 where there is none.

        None says that the server has given it up, because that was more than it may.
        """
        kept = connection.execute(
            "SELECT wal_status = 'lost', "
            "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint "
            "FROM pg_replication_slots WHERE slot_name = %s",
            [self.name],
        ).fetchone()
        if kept is None:
            return 0
        is_given_up, retained_bytes = kept
        return None if is_given_up else int(str(retained_bytes))

    def make(self, connection: RawConnection) -> None:
        """Make publications and slot anew, from now on, unless they have come to be ready.

        It waits until every transaction that is open now has ended. Use a connection without a
        timeout for locks.

        Raises:
            UnminableError: they cannot be made; the message says what is to be done.
        """
        with allowed(), self._alone(connection):
            if self.is_ready(connection):
                return
            self._clear(connection)
            make = "SELECT pg_create_logical_replication_slot(%s, %s)"
            connection.execute(make, [self.name, PLUGIN])
        _log.info("slot made", slot=self.name)

    def clear(self, connection: RawConnection) -> None:
        """Drop it, and make its publications anew, so that it can be made.

        Raises:
            UnminableError: that is not allowed; the message says what is to be done.
        """
        with allowed(), self._alone(connection):
            self._is_there(connection)  # and nobody else's
            _require_right(connection)
            self._clear(connection)

    def _clear(self, connection: RawConnection) -> None:
        self._drop(connection)
        self._publish(connection)

    def _drop(self, connection: RawConnection) -> None:
        there = connection.execute(
            "SELECT FROM pg_replication_slots WHERE slot_name = %s", [self.name]
        )
        if there.fetchone() is not None:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [self.name])

    def _is_there(self, connection: RawConnection) -> bool:
        found = connection.execute(
            "SELECT coalesce(database = current_database() AND plugin = %s, false), "
            "wal_status <> 'lost' AND confirmed_flush_lsn IS NOT NULL "
            "FROM pg_replication_slots WHERE slot_name = %s",
            [PLUGIN, self.name],
        ).fetchone()
        if found is None:
            return False
        is_ours, can_go_on = found
        if not is_ours:
            raise UnminableError(
                f"the server has another slot named {self.name}, of another database or kind; "
                "choose another SLACKWATER_NAMESPACE"
            )
        return bool(can_go_on)

    def _are_published(self, connection: RawConnection) -> bool:
        whole = [name for name, each in self._published.items() if each.whole_rows]
        found = connection.execute(
            "SELECT p.pubname, t.tablename, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, "
            "p.pubname <> ALL(%s) OR c.relreplident = 'f' "
            "FROM pg_publication p JOIN pg_publication_tables t USING (pubname) "
            "JOIN pg_class c ON c.relname = t.tablename "
            "AND c.relnamespace = to_regnamespace(quote_ident(t.schemaname)) "
            "WHERE p.pubname = ANY(%s) AND t.schemaname = %s",
            [whole, self.publications, self._schema],
        )
        wanted = {
            (name, each.table, *(kind in each.kinds for kind in _KINDS), True)
            for name, each in self._published.items()
            if each.is_asked
        }
        return set(found.fetchall()) == wanted

    def _publish(self, connection: RawConnection) -> None:
        with connection.transaction():
            for name, each in self._published.items():
                publication = sql.Identifier(name)
                connection.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(publication))
                create = "CREATE PUBLICATION {} FOR TABLE {} WITH (publish = {})"
                table = sql.Identifier(self._schema, each.table)
                kinds = sql.Literal(", ".join(each.kinds))
                connection.execute(sql.SQL(create).format(publication, table, kinds))
                if each.whole_rows:
                    alter = sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(table)
                    connection.execute(alter)

    @contextmanager
    def _alone(self, connection: RawConnection) -> Iterator[None]:
        """Keep others from making the same; no transaction may stay open while a slot is made."""
        key = f"slackwater slot {self.name}"
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
        try:
            yield
        finally:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _name(schema: str, table: str) -> str:
    name = f"{schema}_{table}"
    if len(name) <= _NAME_MAX:
        return name
    return f"{schema[:40]}_{sha256(name.encode()).hexdigest()[:20]}"


def _require_right(connection: RawConnection) -> None:
    """Ask beforehand: a session for replication is refused without a reason that can be told."""
    asked = "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"
    found = connection.execute(asked).fetchone()
    if found is None or not found[0]:
        raise InsufficientPrivilege("it has no REPLICATION right")


@contextmanager
def allowed() -> Iterator[None]:
    """Raise what the server does not allow as our own errors, with the remedy."""
    try:
        yield
    except InsufficientPrivilege as error:
        raise UnminableError(
            f"the role may not mine the log: {error.diag.message_primary or error}; give it "
            "that right with ALTER ROLE … REPLICATION and GRANT CREATE ON DATABASE …"
        ) from error
    except ObjectNotInPrerequisiteState as error:
        raise UnminableError(
            f"the log cannot be mined: {error.diag.message_primary}; set wal_level = logical and "
            "restart the server"
        ) from error
    except ConfigurationLimitExceeded as error:
        raise UnminableError(
            f"the server has no slot left: {error.diag.message_primary}; raise "
            "max_replication_slots, or drop one that nobody needs"
        ) from error
