"""One process's share of an installation: settings, addresses, and the adapters that it opens.

Adapters are opened when first asked for and shared by all parts of the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol, TypeVar

from msgspec.structs import replace

from slackwater.adapters import (
    open_database,
    open_documents,
    open_doorbell,
    open_event_log,
    open_search,
)
from slackwater.clock import Clock, SystemClock
from slackwater.database.port import Database
from slackwater.doorbell import Doorbell
from slackwater.event_log.port import EventLog
from slackwater.manifest import Manifest, UnknownPartError
from slackwater.outbox.publishing import Publishing
from slackwater.read_models.documents import DocumentStore
from slackwater.read_models.search import SearchIndex
from slackwater.service.definition import ServiceDefinition
from slackwater.settings import Settings

_SERVICE_PORTS = 1
_RELAY_PORTS = 11
_PROJECTOR_PORTS = 21


class _Closable(Protocol):
    async def close(self) -> None: ...


ClosableT = TypeVar("ClosableT", bound=_Closable)


class Installation:
    """Opens the adapters that the settings choose."""

    def __init__(self, settings: Settings, manifest: Manifest | None = None) -> None:
        self.settings = settings
        self.manifest = manifest or Manifest()
        self.clock: Clock = SystemClock()
        self._databases: dict[str, Database] = {}
        self._opened: list[_Closable] = []

    @cached_property
    def doorbell(self) -> Doorbell:
        return open_doorbell(self.settings)

    @cached_property
    def event_log(self) -> EventLog:
        return self._closed_later(open_event_log(self.settings, self.doorbell))

    @cached_property
    def documents(self) -> DocumentStore:
        return self._closed_later(open_documents(self.settings, self.doorbell))

    @cached_property
    def search(self) -> SearchIndex:
        return self._closed_later(open_search(self.settings))

    def database(self, service: str) -> Database:
        """Return the private database of a service."""
        if service not in self._databases:
            self._databases[service] = self._closed_later(open_database(self.settings, service))
        return self._databases[service]

    def service(self, name: str) -> ServiceDefinition:
        """Return a write service, which publishes as the settings say.

        Raises:
            UnknownPartError: there is none of that name.
        """
        publishing = self.settings.publishing.get(name, Publishing.OUTBOX)
        return replace(self.manifest.service(name), publishing=publishing)

    def service_port(self, name: str) -> int:
        return self.settings.port + _SERVICE_PORTS + _place(self.manifest.services, name)

    def relay_port(self, name: str) -> int:
        return self.settings.port + _RELAY_PORTS + _place(self.manifest.services, name)

    def projector_port(self, name: str) -> int:
        return self.settings.port + _PROJECTOR_PORTS + _place(self.manifest.projections, name)

    def ports(self, *, processes: bool) -> list[int]:
        """Return every port that the parts listen on, in one process or in one each."""
        services, projections = self.manifest.services, self.manifest.projections
        served = [self.settings.port, *map(self.service_port, services)]
        if not processes:
            return served
        return [
            *served,
            *map(self.relay_port, services),
            *map(self.projector_port, projections),
        ]

    @property
    def service_urls(self) -> dict[str, str]:
        """Where each write service answers."""
        here = {
            name: f"http://{self.settings.host}:{self.service_port(name)}"
            for name in self.manifest.services
        }
        return {**here, **self.settings.service_urls}

    def _closed_later(self, opened: ClosableT) -> ClosableT:
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        """Close everything that was opened, last opened first."""
        while self._opened:
            await self._opened.pop().close()
        if "doorbell" in self.__dict__:
            self.doorbell.close()


def _place(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise UnknownPartError(f"there is no {name!r}; registered: {', '.join(names)}")
    return names.index(name)
