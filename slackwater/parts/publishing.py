"""How a service publishes, as the settings choose: what its events leave by, and who relays them.

The drivers of mining are imported only where it is chosen, because embedded storage has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from slackwater.adapters import driver
from slackwater.errors import ConfigurationError
from slackwater.installation import Installation
from slackwater.outbox.channel import Publishing
from slackwater.outbox.relay import Relay
from slackwater.service.definition import ServiceDefinition

if TYPE_CHECKING:
    from slackwater.database.postgresql import PostgresqlDatabase
    from slackwater.mining.reading import Reading


class UnpublishableError(ConfigurationError):
    """The service cannot publish as SLACKWATER_PUBLISHING says; choose another way for it."""


def publishing_of(installation: Installation, service: ServiceDefinition) -> Publishing:
    """Return how the service publishes.

    Raises:
        UnpublishableError: it cannot publish so.
    """
    chosen = installation.settings.publishing
    unknown = sorted(chosen.keys() - {*installation.manifest.services})
    if unknown:
        raise UnpublishableError(
            f"SLACKWATER_PUBLISHING names {', '.join(unknown)}; there are only "
            f"{', '.join(installation.manifest.services)}"
        )
    publishing = chosen.get(service.name, Publishing.OUTBOX)
    if publishing is not Publishing.OUTBOX and installation.settings.postgresql_url is None:
        raise UnpublishableError(
            f"{service.name} cannot publish by {publishing} from SQLite, which has no log to mine; "
            "choose OUTBOX, or set SLACKWATER_POSTGRESQL_URL"
        )
    if publishing is Publishing.LOG_MESSAGES and service.is_event_sourced:
        raise UnpublishableError(
            f"{service.name} keeps its events in their table; choose OUTBOX or LOG_OUTBOX for it"
        )
    return publishing


def with_channel(installation: Installation, service: ServiceDefinition) -> ServiceDefinition:
    """Return the service with what its events leave by.

    Raises:
        UnpublishableError: it cannot publish as the settings say.
    """
    if publishing_of(installation, service) is not Publishing.LOG_MESSAGES:
        return service
    with driver("PostgreSQL"):
        from slackwater.mining.messages import LogMessages
    return replace(service, channel=LogMessages(_database(installation, service).schema))


async def prepare_publishing(installation: Installation, service: ServiceDefinition) -> None:
    """Make what must be there before the service's first commit.

    Raises:
        UnpublishableError: it cannot publish as the settings say.
        UnminableError: the server or the role does not allow it.
    """
    if publishing_of(installation, service) is not Publishing.OUTBOX:
        with driver("PostgreSQL"):
            from slackwater.mining.miner import prepare_slot
        reading = _reading(installation, service)
        await prepare_slot(_database(installation, service), reading)


def open_relay(installation: Installation, service: ServiceDefinition) -> Relay:
    """Return what relays the service's events.

    Raises:
        UnpublishableError: it cannot publish as the settings say.
    """
    if publishing_of(installation, service) is Publishing.OUTBOX:
        return Relay(
            service.name,
            topics=service.topics,
            tables=service.tables,
            database=installation.database(service.name),
            log=installation.event_log,
            doorbell=installation.doorbell,
            heartbeat_ms=installation.settings.heartbeat_ms,
            clock=installation.clock,
        )
    with driver("PostgreSQL"):
        from slackwater.mining.miner import Miner
    return Miner(
        service.name,
        topics=service.topics,
        tables=service.tables,
        database=_database(installation, service),
        log=installation.event_log,
        doorbell=installation.doorbell,
        reading=_reading(installation, service),
        heartbeat_ms=installation.settings.heartbeat_ms,
        clock=installation.clock,
    )


def _reading(installation: Installation, service: ServiceDefinition) -> Reading:
    from slackwater.mining.reading import reading_of

    return reading_of(
        publishing_of(installation, service),
        source=service.name,
        schema=_database(installation, service).schema,
        tables=service.tables,
    )


def _database(installation: Installation, service: ServiceDefinition) -> PostgresqlDatabase:
    from slackwater.database.postgresql import PostgresqlDatabase

    database = installation.database(service.name)
    assert isinstance(database, PostgresqlDatabase)
    return database
