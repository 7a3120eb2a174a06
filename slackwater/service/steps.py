"""The steps of one consumer, run with their inbox in the transaction of whoever calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from slackwater.clock import Clock
from slackwater.errors import PoisonousEventError, SlackwaterError
from slackwater.event_log.port import Record
from slackwater.events.cloudevents import ID_HEADER, TYPE_HEADER, from_headers
from slackwater.events.event import Recorded
from slackwater.logs import bound
from slackwater.outbox.inbox import handled_before, record_handled
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Consumer, ServiceDefinition, Step


class Steps:
    """How a consumer of a service reacts to what stands in the log."""

    def __init__(self, service: ServiceDefinition, consumer: Consumer, clock: Clock) -> None:
        self._service = service
        self._consumer = consumer
        self._clock = clock
        types = [service.event_types.of_body(body) for body in consumer.steps]
        self._steps = {each.name: consumer.steps[each.body] for each in types}
        self._may_be_discarded = {
            each.name for each in types if each.body in consumer.may_be_discarded
        }
        self.topics = tuple(sorted({each.topic.name for each in types}))

    def concern(self, record: Record) -> bool:
        """Tell whether a step reacts to a record, or could: nobody can read it."""
        try:
            return self._event_type(record) in self._steps
        except PoisonousEventError:
            return True

    def decoded(self, record: Record) -> Recorded[Any] | None:
        """Read an event that a step reacts to; None for any other.

        Raises:
            PoisonousEventError: it cannot be read.
        """
        event = from_headers(record.topic, record.headers, record.value)
        return self._service.event_types.decode(event) if event.type in self._steps else None

    def take(self, connection: Connection, events: Sequence[Recorded[Any]]) -> int:
        """Run the steps for those events that were not handled before; return how many.

        Raises:
            PoisonousEventError: a step failed.
        """
        if events and self._consumer.lock_first is not None:
            self._consumer.lock_first(connection, events)
        first_deliveries = self._first_deliveries(connection, events)
        for recorded in first_deliveries:
            self._take_one(connection, recorded)
        return len(first_deliveries)

    def why_not_discarded(self, record: Record) -> str | None:
        """Return what keeps a record from being left out; None if nothing does."""
        type_ = record.headers.get(TYPE_HEADER)
        if type_ is None:
            return "nobody can say what it is, so nobody can say what would be missing without it"
        if type_ in self._steps and type_ not in self._may_be_discarded:
            return f"without {type_} what was begun before would stay as it is for ever"
        return None

    def leave_out(self, connection: Connection, record: Record) -> None:
        """Take a record for handled, so that it is not when it is delivered again."""
        event_id = record.headers.get(ID_HEADER)
        tables, name = self._service.tables, self._consumer.name
        if event_id and not handled_before(connection, tables, name, [event_id]):
            record_handled(connection, tables, name, [event_id])

    def _event_type(self, record: Record) -> str:
        return from_headers(record.topic, record.headers, record.value).type

    def _first_deliveries(
        self, connection: Connection, events: Sequence[Recorded[Any]]
    ) -> list[Recorded[Any]]:
        """Record all events as handled; return each that had not been, once."""
        by_id = {each.event.id: each for each in events}
        tables, consumer = self._service.tables, self._consumer.name
        for event_id in handled_before(connection, tables, consumer, by_id):
            del by_id[event_id]
        record_handled(connection, tables, consumer, by_id)
        return list(by_id.values())

    def _take_one(self, connection: Connection, recorded: Recorded[Any]) -> None:
        event = recorded.event
        unit = self._service.unit_of_work(connection, cause=event.caused(), now=self._clock.now())
        with bound(unit.cause):
            _run_step(unit, self._steps[event.type], recorded)


def _run_step(unit: UnitOfWork, step: Step, recorded: Recorded[Any]) -> None:
    try:
        unit.run(lambda unit: step(unit, recorded))
    except (SlackwaterError, OperationalError):
        raise
    except Exception as error:  # what a step itself raises, it will raise again
        raise PoisonousEventError(
            f"event {recorded.event.id} of type {recorded.event.type} cannot be handled: "
            f"{error!r}; mend the step"
        ) from error
