"""One process's share of an installation: settings, addresses, and the adapters that it opens.

Adapters are opened when first asked for and shared by all parts of the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from slackwater.clock import Clock, SystemClock
from slackwater.database.sqlite import SqliteDatabase
from slackwater.doorbell import Doorbell
from slackwater.event_log.port import EventLog
from slackwater.event_log.sqlite import SqliteEventLog
from slackwater.manifest import Manifest, UnknownPartError
from slackwater.read_models.documents import DocumentStore
from slackwater.read_models.search import SearchIndex
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.settings import Settings
from slackwater.sockets_doorbell import SocketDoorbell

_SERVICE_PORTS = 1
_RELAY_PORTS = 11
_PROJECTOR_PORTS = 21


class _Closable(Protocol):
    async def close(self) -> None: ...


class Installation:
    """Opens the embedded adapters below the data folder."""

    def __init__(self, settings: Settings, manifest: Manifest | None = None) -> None:
        self.settings = settings
        self.manifest = manifest or Manifest()
        self.clock: Clock = SystemClock()
        self._databases: dict[str, SqliteDatabase] = {}
        self._opened: list[_Closable] = []

    @cached_property
    def doorbell(self) -> Doorbell:
        return SocketDoorbell(self.settings.data_dir)

    @cached_property
    def event_log(self) -> EventLog:
        log = SqliteEventLog(self.settings.data_dir / "log", self.doorbell)
        self._opened.append(log)
        return log

    @cached_property
    def documents(self) -> DocumentStore:
        store = SqliteDocumentStore(self.settings.data_dir / "documents.sqlite", self.doorbell)
        self._opened.append(store)
        return store

    @cached_property
    def search(self) -> SearchIndex:
        index = SqliteSearchIndex(self.settings.data_dir / "search.sqlite")
        self._opened.append(index)
        return index

    def database(self, service: str) -> SqliteDatabase:
        """Return the private database of a service."""
        if service not in self._databases:
            path = self.settings.data_dir / "services" / f"{service}.sqlite"
            self._databases[service] = SqliteDatabase(path)
            self._opened.append(self._databases[service])
        return self._databases[service]

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
