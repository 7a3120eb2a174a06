"""A unit of work: a service's state change and its events, committed as one or not at all.

A unit that changed state but added no event refuses to commit: a forgotten event would leave every
read model wrong for ever, silently. Neither counts where a savepoint has taken it back
(`slackwater.outbox.tally`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from slackwater.errors import SlackwaterError
from slackwater.events.event import Cause, Event, EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.ids import new_id
from slackwater.logs import logger
from slackwater.outbox.log_message import emit_event
from slackwater.outbox.mined import require_way
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.row import to_row
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.tally import tally_of, tallying

T = TypeVar("T")
BodyT = TypeVar("BodyT", bound=EventBody)

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
        publishing: Publishing = Publishing.OUTBOX,
    ) -> None:
        self.connection = connection
        self.cause = cause
        self.now = now
        self._source = source
        self._tables = tables
        self._event_types = event_types
        self._publishing = publishing

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
        Where events are inferred from changed rows, nothing is written: the rows say it.

        Raises:
            AnotherWayError: the database's events leave by another way.
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
        self._write(event)
        tally = tally_of(self.connection)
        if tally is not None:
            tally.add_event()
        return Recorded(event, body)

    def _write(self, event: Event) -> None:
        if self._publishing is Publishing.LOG_MESSAGES:
            emit_event(self.connection, self._tables.mined, event)
        elif self._publishing is not Publishing.ROW_CHANGES:
            self.connection.execute(self._tables.insert_event, to_row(event))

    @contextmanager
    def without_event(self, reason: str) -> Iterator[None]:
        """Excuse the changes made inside from needing an event; say why nobody has to hear of them.

        For rows that no read model shows: a tombstone against late events, a copy of others' data.
        """
        tally = tally_of(self.connection)
        with tally.excusing() if tally is not None else nullcontext():
            yield
        _log.debug("state changed without event", reason=reason)

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` and check what it did; call this inside a transaction.

        Raises:
            ForgottenEventError: rows of the service changed and no event was added.
            AnotherWayError: nobody infers events from them.
        """
        with tallying(self.connection) as tally:
            result = work(self)
        is_inferred = self._publishing is Publishing.ROW_CHANGES
        if is_inferred and tally.changes:
            require_way(self.connection, self._tables.mined, self._publishing)
        elif tally.changes and not tally.events:
            raise ForgottenEventError(
                "state was changed without an event; add the event that tells of the change"
            )
        return result
