"""A unit of work: a service's state change and its events, committed as one or not at all.

A unit that changed state but added no event refuses to commit: a forgotten event would leave every
read model wrong for ever, silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

import msgspec
from sqlalchemy import ClauseElement, Connection, Engine, Table, event
from sqlalchemy.sql.dml import UpdateBase

from slackwater.errors import SlackwaterError
from slackwater.events.event import Cause, Event, EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.ids import new_id
from slackwater.logs import logger
from slackwater.outbox.row import to_row
from slackwater.outbox.tables import KernelTables, is_infrastructure

T = TypeVar("T")
BodyT = TypeVar("BodyT", bound=EventBody)

_STATE_CHANGED = "slackwater_state_changed"
_log = logger("unit of work")


class ForgottenEventError(SlackwaterError):
    """State was changed without an event; add the event that tells of the change."""


class UnitOfWork:
    """What a command or saga step works with: a connection, and a place for its events."""

    def __init__(
        self,
        connection: Connection,
        *,
        source: str,
        tables: KernelTables,
        event_types: EventTypes,
        cause: Cause,
        now: datetime,
    ) -> None:
        self.connection = connection
        self.cause = cause
        self.now = now
        self._source = source
        self._tables = tables
        self._event_types = event_types
        self._added = 0

    def add(
        self,
        body: BodyT,
        *,
        aggregate_id: str,
        version: int,
        partition_key: str,
        event_id: str | None = None,
    ) -> Recorded[BodyT]:
        """Add the event that makes its aggregate `version`; it is published after the commit.

        Give `event_id` only where a repeat must be recognised; it is the event's name for ever.
        """
        event_type = self._event_types.of_body(type(body))
        event = Event(
            id=event_id or new_id(),
            source=self._source,
            topic=event_type.topic.name,
            type=event_type.name,
            schema_version=event_type.schema_version,
            aggregate_type=event_type.aggregate_type,
            aggregate_id=aggregate_id,
            version=version,
            partition_key=partition_key,
            time=self.now,
            data=msgspec.json.encode(body),
            cause=self.cause,
        )
        self.connection.execute(self._tables.insert_event, to_row(event))
        self._added += 1
        return Recorded(event, body)

    @contextmanager
    def without_event(self, reason: str) -> Iterator[None]:
        """Excuse the changes made inside from needing an event; say why nobody has to hear of them.

        For rows that no read model shows: a tombstone against late events, a copy of others' data.
        """
        info = self.connection.info
        changed_before = info.get(_STATE_CHANGED, False)
        yield
        info[_STATE_CHANGED] = changed_before
        _log.debug("state changed without event", reason=reason)

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` and check what it did; call this inside a transaction.

        Raises:
            ForgottenEventError: rows of the service changed and no event was added.
        """
        info = self.connection.info
        info[_STATE_CHANGED] = False
        before = self._added
        result = work(self)
        if info[_STATE_CHANGED] and self._added == before:
            raise ForgottenEventError(
                "state was changed without an event; add the event that tells of the change"
            )
        return result


def watch_state_changes(engine: Engine) -> None:
    """Make connections of this engine remember that rows of the service itself were changed."""

    @event.listens_for(engine, "after_execute")
    def remember(connection: Connection, statement: ClauseElement, *_: object) -> None:
        if isinstance(statement, UpdateBase) and _changes_state(statement):
            connection.info[_STATE_CHANGED] = True


def _changes_state(statement: UpdateBase) -> bool:
    table = statement.table
    return not (isinstance(table, Table) and is_infrastructure(table))
