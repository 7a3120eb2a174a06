"""What publishes a service's events, as the settings choose.

The driver of mining is imported only where it is chosen, because embedded storage has none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from slackwater.adapters import driver
from slackwater.errors import ConfigurationError
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.outbox.mined import check_change, read_mined
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay
from slackwater.service.definition import ServiceDefinition

_log = logger("relay")


class UnpublishableError(ConfigurationError):
    """The service cannot publish as SLACKWATER_PUBLISHING says; choose another way for it."""


def publishing_of(installation: Installation, name: str) -> Publishing:
    """Return how a service publishes.

    Raises:
        UnpublishableError: it cannot publish so.
    """
    _refuse_unknown_names(installation)
    service = installation.service(name)
    publishing = service.publishing
    if publishing.is_mined and installation.settings.postgresql_url is None:
        raise UnpublishableError(
            f"{name} cannot publish by {publishing} from SQLite, which has no log to mine; "
            "choose OUTBOX, or set SLACKWATER_POSTGRESQL_URL"
        )
    if service.is_event_sourced and not publishing.keeps_rows:
        raise UnpublishableError(
            f"{name} cannot publish by {publishing}, because it reads its own events; choose "
            "OUTBOX or LOG_OUTBOX"
        )
    if publishing is Publishing.ROW_CHANGES and service.mapping is None:
        raise UnpublishableError(
            f"{name} cannot publish by {publishing}, because it has no mapping from its rows to "
            "events; choose another way, or declare one"
        )
    return publishing


def open_relay(installation: Installation, service: ServiceDefinition) -> Relay:
    """Return what relays the service's events.

    Raises:
        UnpublishableError: it cannot publish as the settings say.
    """
    publishing = publishing_of(installation, service.name)
    retention_s = installation.settings.outbox_retention_s
    kind: Callable[..., Relay] = partial(Relay, retention_s=retention_s)
    if publishing.is_mined:
        with driver("PostgreSQL"):
            from slackwater.mining.miner import Miner
        kind = partial(
            Miner,
            publishing=publishing,
            mapping=service.mapping,
            alarm_bytes=installation.settings.retained_log_alarm_mb * 1_000_000,
        )
        if retention_s is not None:
            _log.warning("a mined outbox keeps its events for ever", source=service.name)
    return kind(
        service.name,
        topics=service.topics,
        tables=service.tables,
        database=installation.database(service.name),
        log=installation.event_log,
        doorbell=installation.doorbell,
        heartbeat_ms=installation.settings.heartbeat_ms,
        clock=installation.clock,
    )


async def prepare_publishing(installation: Installation, service: ServiceDefinition) -> None:
    """Make sure that what the service commits from now on will be published, and all before it.

    Raises:
        UnpublishableError: it cannot publish as the settings say.
        ForgetfulChangeError: events of the way that it published by before would be forgotten.
        UnminableError: the database's log cannot be mined.
    """
    publishing = publishing_of(installation, service.name)
    database, mined = installation.database(service.name), service.tables.mined
    state = await database.read(lambda connection: read_mined(connection, mined))
    check_change(state, publishing, service.name)
    if publishing is Publishing.LOG_MESSAGES:
        with driver("PostgreSQL"):
            from slackwater.database.postgresql import PostgresqlDatabase
            from slackwater.mining.beginning import begin_messages
            from slackwater.mining.miner import slot_of
        assert isinstance(database, PostgresqlDatabase), "the settings were checked"
        slot = slot_of(database, service.tables, publishing)
        await database.outside(lambda connection: begin_messages(connection, slot))


def _refuse_unknown_names(installation: Installation) -> None:
    known = installation.manifest.services
    unknown = sorted(installation.settings.publishing.keys() - {*known})
    if unknown:
        raise UnpublishableError(
            f"SLACKWATER_PUBLISHING names {', '.join(unknown)}; there are only {', '.join(known)}"
        )
