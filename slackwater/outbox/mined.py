"""Events that are made of the database's own log, as rows, with how far that has come.

    the log ──► events ──► rows, and the position behind them ──► published ──► marked
                           (one transaction, in one's own epoch)

A transaction that the log brings again lies before the position and is left out: each event becomes
a row exactly once, whoever dies. From there it is an event like any other, so timelines, rebuilds
and whoever looks for what is not marked need not know where it came from.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    TextClause,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from slackwater.errors import ConfigurationError, StructuralError
from slackwater.events.event import Event
from slackwater.outbox.publishing import AnotherWayError, Publishing
from slackwater.outbox.row import to_row

UNCOUNTED = 0
"""The version of an event whose aggregate's versions are counted here."""

_KNOWN_MAX = 50_000
_JSON_TYPES = {Text: "text", LargeBinary: "text", BigInteger: "bigint", Integer: "integer"}
_MINED = {each for each in Publishing if each.is_mined}
_MAY_FOLLOW = {
    None: set(Publishing),
    Publishing.LOG_OUTBOX: _MINED,
    Publishing.LOG_MESSAGES: _MINED,
    Publishing.ROW_CHANGES: {Publishing.ROW_CHANGES},
}
_MAKE_ROWS = text("SELECT set_config('slackwater.makes_rows', 'on', true)")


class ForgetfulChangeError(ConfigurationError):
    """What the log still holds of the former way would be forgotten; the message says the way."""


class MissingPositionError(StructuralError):
    """The row was deleted that says how far events have become rows; start the service anew."""


class Position(NamedTuple):
    """A place in the write-ahead log: before `lsn`, and `taken` events behind it."""

    lsn: int
    taken: int = 0


class MinedState(NamedTuple):
    """What the row says: by which way events are made, of which server's log, and how far.

    `LOG_OUTBOX` says that messages must become rows before services may write rows again.
    """

    way: Publishing
    system: str
    position: Position
    lost: str | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there is a history; before, changed rows are waiting for their first reader."""
        return self.position.lsn > 0


def read_mined(connection: Connection, table: Table) -> MinedState | None:
    """Return how far it has come; None where no event is made of the log."""
    row = connection.execute(select(table)).one_or_none()
    if row is None:
        return None
    return MinedState(Publishing(row.way), row.system, Position(row.lsn, row.taken), row.lost)


def check_change(state: MinedState | None, chosen: Publishing, source: str) -> None:
    """Check that nothing is forgotten when a source publishes by the chosen way from now on.

    Raises:
        ForgetfulChangeError: something may be.
    """
    former = state.way if state is not None else None
    if chosen in _MAY_FOLLOW[former]:
        return
    if former is Publishing.ROW_CHANGES:
        remedy = (
            f"set {former} for it, stop the service, and once all is published, delete the row of "
            "its table mined (docs/how-to/mine-the-log.md)"
        )
    else:
        remedy = f"set {Publishing.LOG_OUTBOX} for it until its relay says that rows are written"
    raise ForgetfulChangeError(
        f"{source} has published by {former}, and {chosen} would forget what its log still holds: "
        + remedy
    )


def held_way(table: Table, way: Publishing) -> Select[Any]:
    """Select one row if the database follows a way, and let nobody change that before the commit.

    A transaction whose snapshot is older than such a change fails, and is repeated.
    """
    row = select(table.c.id).where(table.c.way == way)
    return row.with_for_update(read=True, key_share=True)


def require_way(connection: Connection, table: Table, way: Publishing) -> None:
    """Check that the database follows a way, and hold it to that.

    Raises:
        AnotherWayError: it does not.
    """
    if connection.execute(held_way(table, way)).first() is None:
        raise AnotherWayError(f"nobody reads what is written by {way}")


def go_back(connection: Connection, table: Table) -> None:
    """Let nobody write messages any more, after all those who have written one."""
    state = read_mined(connection, table)
    if state is not None and state.way is Publishing.LOG_MESSAGES:
        connection.execute(delete(table))  # an update would not be seen by older snapshots
        back = state._replace(way=Publishing.LOG_OUTBOX)
        connection.execute(insert(table).values(_columns(back)))


def arrive_back(connection: Connection, table: Table) -> None:
    """Say that all messages are rows."""
    connection.execute(delete(table).where(table.c.way == Publishing.LOG_OUTBOX))


def allow_rows(connection: Connection) -> None:
    """Let this transaction insert events where services may not."""
    if connection.dialect.name == "postgresql":
        connection.execute(_MAKE_ROWS).close()


def begin_position(connection: Connection, table: Table, state: MinedState) -> None:
    """Say from where on events are made, in the place of what the row has said.

    Raises:
        MissingPositionError: there is none.
    """
    _set(connection, table, _columns(state))


def advance_position(connection: Connection, table: Table, position: Position) -> None:
    """Remember a later position; one that is not later changes nothing."""
    later = position._asdict()
    connection.execute(update(table).where(table.c.lsn < position.lsn).values(later))


def set_position(connection: Connection, table: Table, position: Position) -> None:
    """Remember the position up to which the events have become rows in this transaction.

    Raises:
        MissingPositionError: there is none.
    """
    _set(connection, table, position._asdict())


def lose(connection: Connection, table: Table, reason: str) -> None:
    """Remember that events can never be had."""
    connection.execute(update(table).values(lost=reason))


def insert_events(connection: Connection, table: Table, events: Sequence[Event]) -> list[int]:
    """Insert events in their order, in one statement, and return their positions."""
    if not events:
        return []
    allow_rows(connection)
    rows = [to_row(event) for event in events]
    inserted = connection.execute(
        _insert_many(table, tuple(rows[0])), {"rows": msgspec.json.encode(rows).decode()}
    )
    positions = {row.id: row.position for row in inserted}
    return [positions[event.id] for event in events]


class Versions:
    """Counts the versions of aggregates on from those in the table of events."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._newest = OrderedDict[tuple[str, str], int]()

    def count(self, connection: Connection, events: Sequence[Event]) -> list[Event]:
        """Return the events with the versions that are missing; remembers nothing yet."""
        missing = [each for each in events if each.version == UNCOUNTED]
        if not missing:
            return list(events)
        newest = self._read(connection, {_aggregate_of(each) for each in missing})
        counted: list[Event] = []
        for event in events:
            if event.version == UNCOUNTED:
                newest[_aggregate_of(event)] += 1
                counted.append(replace(event, version=newest[_aggregate_of(event)]))
            else:
                counted.append(event)
        return counted

    def remember(self, events: Sequence[Event]) -> None:
        """Remember versions that have been committed; those not needed for longest are dropped."""
        for event in events:
            self._newest[_aggregate_of(event)] = event.version
            self._newest.move_to_end(_aggregate_of(event))
        while len(self._newest) > _KNOWN_MAX:
            self._newest.popitem(last=False)

    def _read(
        self, connection: Connection, aggregates: set[tuple[str, str]]
    ) -> defaultdict[tuple[str, str], int]:
        newest = defaultdict[tuple[str, str], int](int)
        unknown = defaultdict[str, list[str]](list)
        for aggregate in aggregates:
            if aggregate in self._newest:
                newest[aggregate] = self._newest[aggregate]
            else:
                unknown[aggregate[0]].append(aggregate[1])
        table = self._table
        for kind, ids in unknown.items():
            rows = connection.execute(
                select(table.c.aggregateid, func.max(table.c.version))
                .where(table.c.aggregatetype == kind, table.c.aggregateid.in_(ids))
                .group_by(table.c.aggregateid)
            )
            newest |= {(kind, id_): version for id_, version in rows}
        return newest


def _aggregate_of(event: Event) -> tuple[str, str]:
    return event.aggregate_type, event.aggregate_id


def _columns(state: MinedState) -> dict[str, object]:
    return {
        "id": 1,
        "way": state.way,
        "system": state.system,
        **state.position._asdict(),
        "lost": state.lost,
    }


def _set(connection: Connection, table: Table, values: dict[str, object]) -> None:
    if not connection.execute(update(table).values(values)).rowcount:
        raise MissingPositionError(
            "the row of the table mined was deleted, which says how far events have become rows: "
            "start the service anew, which sees to that before it writes any"
        )


@cache
def _insert_many(table: Table, columns: Sequence[str]) -> TextClause:
    """Take all rows as one parameter: many parameters cost more than what is done with them."""
    taken = [table.columns[name] for name in columns]
    names = ", ".join(columns)
    types = ", ".join(f"{each.name} {_JSON_TYPES[type(each.type)]}" for each in taken)
    values = ", ".join(
        f"decode({each.name}, 'base64')" if isinstance(each.type, LargeBinary) else each.name
        for each in taken
    )
    return text(
        f"INSERT INTO {table.name} ({names}) "  # noqa: S608 - names of ours
        f"SELECT {values} "
        f"FROM ROWS FROM (json_to_recordset(CAST(:rows AS json)) AS ({types})) WITH ORDINALITY "
        "ORDER BY ordinality RETURNING id, position"
    )
