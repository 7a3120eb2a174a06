"""Which versions of event types an event store may hold, so that a start tells what a read would.

Each release notes the versions that it writes before it writes any. One that is started where a
newer release has been refuses only if such events are really stored: only then the table is
searched.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from slackwater.errors import StructuralError
from slackwater.event_store.tables import EventStoreTables
from slackwater.events.types import EventTypes


class UnknownSchemaError(StructuralError):
    """The event store holds events that this release cannot read; start the one that can."""


class EventSchemas:
    """The versions that a service's own events are stored at."""

    def __init__(
        self, tables: EventStoreTables, event_types: EventTypes, topics: Iterable[str]
    ) -> None:
        """`topics` are those that the service publishes on."""
        self._events = tables.events
        self._noted = tables.event_schema
        self._event_types = event_types
        self._topics = frozenset(topics)

    def require_known(self, connection: Connection) -> None:
        """Check that every stored event can be read, and note what this release writes.

        Raises:
            UnknownSchemaError: events of an unknown type or a newer version are stored.
        """
        noted = {tuple(row) for row in connection.execute(select(self._noted))}
        for name, version in sorted(noted):
            if not self._is_known(name, version) and self._is_stored(connection, name, version):
                raise UnknownSchemaError(
                    f"events of type {name} version {version} are stored, and this release does "
                    "not know them; start the release that has written them, or a later one"
                )
        rows = [{"type": name, "schemaversion": version} for name, version in self._own - noted]
        if rows:
            connection.execute(insert(self._noted), rows)

    @property
    def _own(self) -> set[tuple[str, int]]:
        return {
            (event_type.name, event_type.schema_version)
            for event_type in self._event_types
            if event_type.topic.name in self._topics
        }

    def _is_known(self, name: str, version: int) -> bool:
        known = self._event_types.find(name)
        return known is not None and version <= known.schema_version

    def _is_stored(self, connection: Connection, name: str, version: int) -> bool:
        events = self._events
        of_it = (events.c.type == name) & (events.c.schemaversion == version)
        return connection.execute(select(events.c.id).where(of_it).limit(1)).first() is not None
