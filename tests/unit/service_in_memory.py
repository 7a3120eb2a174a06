"""A write service on a database in memory, so that laws can be tried a thousand times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.pool import StaticPool

from slackwater.events.event import Cause, Recorded
from slackwater.outbox.row import to_event
from slackwater.outbox.tally import watch_state_changes
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.definition import Fact, ServiceDefinition
from tests.unit.given_events import NOW


@contextmanager
def in_memory(service: ServiceDefinition) -> Iterator[ServiceInMemory]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    watch_state_changes(engine)
    try:
        with engine.connect() as connection:
            service.metadata.create_all(connection)
            yield ServiceInMemory(service, connection)
    finally:
        engine.dispose()


class ServiceInMemory:
    """Runs commands and steps; without an inbox, so that the steps must be safe by themselves."""

    def __init__(self, service: ServiceDefinition, connection: Connection) -> None:
        self.service = service
        self.connection = connection
        self.now = NOW

    def command(self, command_name: str, **fields: Any) -> Any:
        """Execute a command; return its result or refusal."""
        [command] = [each for each in self.service.commands if each.name == command_name]
        body = msgspec.convert(fields, command.body)
        return self._unit().run(lambda unit: command.handle(unit, body))

    def hear(self, recorded: Recorded[Any]) -> None:
        """Let every consumer react that has a step for this event."""
        for consumer in self.service.consumers:
            step = consumer.steps.get(type(recorded.body))
            if step is not None:
                self._unit().run(lambda unit, step=step: step(unit, recorded))  # type: ignore[misc]

    def work(self, at: datetime) -> None:
        """Do all periodic work that is due."""
        self.now = at
        for periodic in self.service.periodic:
            if periodic.due(self.connection, at):
                self._unit().run(periodic.work)

    def published(self) -> list[Recorded[Any]]:
        """Return every event so far."""
        table = self.service.tables.events
        rows = self.connection.execute(select(table).order_by(table.c.position))
        types = self.service.event_types
        return [types.decode(to_event(row, self.service.name)) for row in rows]

    def bodies(self) -> list[Any]:
        return [recorded.body for recorded in self.published()]

    def facts(self, kind: str) -> dict[str, Fact]:
        return {fact.id: fact for fact in self.service.facts(self.connection) if fact.kind == kind}

    def violations(self) -> list[str]:
        """Return broken invariants, and aggregates whose versions have gaps."""
        versions: dict[tuple[str, str], list[int]] = {}
        for event in (recorded.event for recorded in self.published()):
            versions.setdefault((event.aggregate_type, event.aggregate_id), []).append(
                event.version
            )
        gaps = [
            f"{aggregate} has the versions {found}"
            for aggregate, found in versions.items()
            if found != list(range(1, len(found) + 1))
        ]
        return gaps + self.service.invariants(self.connection)

    def _unit(self) -> UnitOfWork:
        return self.service.unit_of_work(self.connection, cause=Cause.start(), now=self.now)
