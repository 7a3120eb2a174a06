"""What a service declares so that its events can be inferred from rows that have changed.

The service itself need not know of events. Its mapping is a pure function from the changes of one
transaction, in their order, to the events that they mean; it must return the same for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table

from slackwater.errors import StructuralError
from slackwater.events.event import Cause, Event, EventBody
from slackwater.events.types import EventTypes
from slackwater.ids import new_id
from slackwater.outbox.mined import UNCOUNTED

Row = Mapping[str, Any]
"""A row by its columns, with values as psycopg reads them in a query.

So a domain's is of what it restricts; of types that psycopg does not know, such as enumerations, it
is their text.
"""


class UnmappableError(StructuralError):
    """The mapping asks for a column that no row has; declare it, or mend the mapping."""


class ChangeKind(StrEnum):
    """What has happened to a row."""

    INSERTED = "INSERTED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


class RowChange(NamedTuple):
    """A change of one row: `old` as it was before (INSERTED: None), `new` as it is after it.

    `old` is complete where the table was declared with `whole_rows`. Else a deleted row, and one
    that gets another primary key, show the former key alone, and other updated ones None; a large
    value that an update left as it was is `slackwater.mining.pgoutput.UNCHANGED` in `new` there.
    """

    kind: ChangeKind
    table: str
    old: Row | None
    new: Row | None


class Inferred(NamedTuple):
    """An event that changes mean. Its version is counted, and its time is that of the commit.

    Without a `cause` its transaction is taken for the beginning of a chain of its own: rows say
    nothing of who asked, and why.
    """

    body: EventBody
    aggregate_id: str
    partition_key: str
    cause: Cause | None = None


class MappedTable(NamedTuple):
    """A table whose changes are told; with `whole_rows` also what rows were before.

    Whole rows make every update and delete write the old row into the log (REPLICA IDENTITY FULL).
    """

    table: Table
    whole_rows: bool = False

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.table.columns.keys())


class RowMapping(msgspec.Struct, frozen=True, kw_only=True):
    """From the changed rows of a service to its events.

    At the beginning, and where changes were lost, every row that there is comes as if it had just
    been inserted: table by table in the order declared here, some hundreds of rows a call. So an
    inserted row must mean all that is to be known of it, whatever state it is in.
    """

    event_types: EventTypes
    tables: tuple[MappedTable, ...]
    infer: Callable[[Sequence[RowChange]], Iterable[Inferred]]

    def __post_init__(self) -> None:
        for table, whole_rows in self.tables:
            if not (whole_rows or table.primary_key.columns):
                raise ValueError(
                    f"{table.name} has no primary key, so its rows cannot be told apart; declare "
                    "whole_rows, or PostgreSQL refuses every update of it"
                )

    def events(self, source: str, changes: Sequence[RowChange], at: datetime) -> list[Event]:
        """Return what the changes of a transaction mean; versions are not counted yet.

        Raises:
            UnmappableError: the mapping asks for a column that is missing.
        """
        begun = Cause.start()
        try:
            return [self._event(source, inferred, at, begun) for inferred in self.infer(changes)]
        except KeyError as error:
            raise UnmappableError(
                f"the mapping of {source} asks for {error}, which no row has; declare the column, "
                "or mend the mapping"
            ) from error

    def _event(self, source: str, inferred: Inferred, at: datetime, begun: Cause) -> Event:
        event_type = self.event_types.of_body(type(inferred.body))
        return Event(
            id=new_id(),
            source=source,
            topic=event_type.topic.name,
            type=event_type.name,
            schema_version=event_type.schema_version,
            aggregate_type=event_type.aggregate_type,
            aggregate_id=inferred.aggregate_id,
            version=UNCOUNTED,
            partition_key=inferred.partition_key,
            time=at,
            data=msgspec.json.encode(inferred.body),
            cause=inferred.cause or begun,
        )
