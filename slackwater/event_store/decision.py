"""Deciding on an aggregate until the decision is stored: once, or not at all.

    load ─► decide ─► append ─► commit
      ▲                  │         └─ answer lost: look for the first event's id, then try again
      └── another was faster: decide on what it has left ◄┘

Every try gives the same ids to its events. A try whose answer was lost is found by the first of
them, because an append is stored whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

import msgspec
from sqlalchemy import Connection

from slackwater.backoff import backoff
from slackwater.database.port import Session
from slackwater.errors import TransientError, WrongVersionError
from slackwater.event_store.aggregates import Aggregates
from slackwater.events.event import EventBody
from slackwater.ids import new_id
from slackwater.outbox.unit_of_work import UnitOfWork

StateT = TypeVar("StateT", bound=msgspec.Struct)

_DELAY_FIRST_S = 0.005
_DELAY_MAX_S = 0.5


class Decided(msgspec.Struct, Generic[StateT], frozen=True):
    """The aggregate after a decision; `has_changed` tells whether that led to any event."""

    state: StateT | None
    has_changed: bool


async def decide(
    database: Session,
    aggregates: Aggregates[StateT],
    stream_id: str,
    decision: Callable[[StateT | None], Sequence[EventBody]],
    *,
    begin: Callable[[Connection], UnitOfWork],
    partition_key: str,
    tries_max: int = 5,
) -> Decided[StateT]:
    """Append what `decision` makes of an aggregate, deciding again where another was faster.

    Args:
        database: where the streams are.
        aggregates: those of the stream's type.
        stream_id: of the aggregate.
        decision: makes events of the aggregate as it is (None: there is none); it may be called
            again and must leave nothing behind. What it raises ends the decision.
        begin: returns the unit of work of a try, with the cause of the decision.
        partition_key: of the events.
        tries_max: how often it is tried.

    Raises:
        WrongVersionError: another was faster at every try; nothing is stored.
        UnknownOutcomeError: the last answer was lost; look before it is decided anew.
        TransientError: the database could not be used at the last try.
    """
    event_ids: list[str] = []

    def attempt(connection: Connection) -> Decided[StateT]:
        if event_ids and aggregates.streams.with_ids(connection, event_ids[:1]):
            return Decided(aggregates.load(connection, stream_id).state, has_changed=True)
        loaded = aggregates.load(connection, stream_id)
        bodies = decision(loaded.state)
        if not bodies:
            return Decided(loaded.state, has_changed=False)
        event_ids.extend(new_id() for _ in range(len(event_ids), len(bodies)))
        state = aggregates.append(
            begin(connection),
            stream_id,
            loaded,
            bodies,
            partition_key,
            event_ids=event_ids[: len(bodies)],
        )
        return Decided(state, has_changed=True)

    return await _repeated(database, attempt, tries_max)


async def _repeated(
    database: Session, attempt: Callable[[Connection], Decided[StateT]], tries_max: int
) -> Decided[StateT]:
    for delay_s in islice(backoff(first_s=_DELAY_FIRST_S, max_s=_DELAY_MAX_S), tries_max - 1):
        try:
            return await database.transact(attempt)
        except (WrongVersionError, TransientError):
            await asyncio.sleep(delay_s)
    return await database.transact(attempt)
