"""The definition of a write service: everything that the kernel must know to run one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, MetaData

from slackwater.errors import SlackwaterError
from slackwater.events.event import Cause, EventBody, Recorded
from slackwater.events.types import EventTypes
from slackwater.mining.mapping import RowMapping
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.tables import KernelTables
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.commands import CommandType

BodyT = TypeVar("BodyT", bound=EventBody)
Step = Callable[[UnitOfWork, Recorded[Any]], None]
LockFirst = Callable[[Connection, Sequence[Recorded[Any]]], None]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A read of the service's own tables, served as `GET /queries/<name>?…`.

    `answer` gets the query's parameters and returns JSON, or None where there is nothing (404).
    It raises `InvalidQueryError` for parameters that it cannot use.
    """

    name: str
    answer: Callable[[Connection, dict[str, str]], Any]


class InvalidQueryError(SlackwaterError):
    """A query's parameters are missing or malformed; the message says which."""

    code = "BAD_USER_INPUT"


class Periodic(msgspec.Struct, frozen=True, kw_only=True):
    """Work that a service does by itself every so often, each time as one unit of work.

    `due` looks first, in a snapshot, so that an idle service writes nothing.
    """

    name: str
    interval_ms: int
    due: Callable[[Connection, datetime], bool]
    work: Callable[[UnitOfWork], None]


class Consumer:
    """A named saga step: which events of other services this one reacts to, and how.

    Each reaction runs in a transaction with the inbox and the consumer's progress, and may be
    called for events in any order.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: dict[type[EventBody], Step] = {}
        self.may_be_discarded: set[type[EventBody]] = set()
        self.lock_first: LockFirst | None = None

    def on(
        self, body: type[BodyT], *, may_be_discarded: bool = False
    ) -> Callable[
        [Callable[[UnitOfWork, Recorded[BodyT]], None]],
        Callable[[UnitOfWork, Recorded[BodyT]], None],
    ]:
        """Register the decorated function for one type of event.

        Args:
            body: the type.
            may_be_discarded: whether an event that the step can never handle may be left out. What
                takes back or ends something may not: that would stay for ever.
        """

        def add(
            step: Callable[[UnitOfWork, Recorded[BodyT]], None],
        ) -> Callable[[UnitOfWork, Recorded[BodyT]], None]:
            self.steps[body] = step
            if may_be_discarded:
                self.may_be_discarded.add(body)
            return step

        return add

    def locking_first(self, lock_first: LockFirst) -> LockFirst:
        """Register what locks the rows that a batch of events will change, before its first step.

        Batches that change rows in the order of their events would wait for one another in circles
        where several run at once; one order of taking locks for everybody keeps them from it.
        """
        self.lock_first = lock_first
        return lock_first


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a service's own tables say, for the check of read models against them.

    Other services' facts are held against it, too. `version` is its aggregate's; 0 where it has no
    events of its own.
    """

    kind: str
    id: str
    version: int
    data: dict[str, Any]


def _nothing_to_violate(_: Connection) -> list[str]:
    return []


def _nothing_to_recount(_: Connection) -> None:
    pass


class ServiceDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A write service; its name is also its source's and its database's.


    `migrations` is the import package with its alembic environment. `facts` reads what is true now
    from the service's own tables (an event-sourced one: by folding its streams). `invariants` looks
    for what must never be in any snapshot of the service's own tables and says each violation in
    words; what spans services is a shared invariant, computed from their facts. `mapping` infers
    its events from its rows, if it can be published so; where it counts versions in its rows, too,
    `recount` has those go on from the events that were made so. `is_event_sourced` says that it
    reads its own events, so that they must be rows at once. `publishing` is set by the
    installation.
    """

    name: str
    event_types: EventTypes
    topics: tuple[str, ...]
    metadata: MetaData
    tables: KernelTables
    migrations: str
    commands: tuple[CommandType, ...]
    queries: tuple[Query, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    periodic: tuple[Periodic, ...] = ()
    facts: Callable[[Connection], Iterator[Fact]]
    invariants: Callable[[Connection], list[str]] = _nothing_to_violate
    mapping: RowMapping | None = None
    recount: Callable[[Connection], None] = _nothing_to_recount
    is_event_sourced: bool = False
    publishing: Publishing = Publishing.OUTBOX

    def unit_of_work(self, connection: Connection, *, cause: Cause, now: datetime) -> UnitOfWork:
        """Return what a command or step of this service works with; for one transaction."""
        return UnitOfWork(
            connection,
            source=self.name,
            tables=self.tables,
            event_types=self.event_types,
            cause=cause,
            now=now,
            publishing=self.publishing,
        )
