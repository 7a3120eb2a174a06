"""What publishes a service's events, as the settings choose.

The driver of mining is imported only where it is chosen, because embedded storage has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from slackwater.adapters import driver
from slackwater.backoff import backoff
from slackwater.errors import ConfigurationError
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.outbox.mined import MinedState, check_change, read_mined
from slackwater.outbox.publishing import Publishing
from slackwater.outbox.relay import Relay
from slackwater.service.definition import ServiceDefinition

if TYPE_CHECKING:
    from slackwater.database.postgresql import PostgresqlDatabase

_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 5.0
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
    await prepare_relaying(installation, service)
    if publishing.keeps_rows:
        await _wait_for_rows(installation, service)
    else:
        await _begin_way(installation, service, publishing)


async def prepare_relaying(installation: Installation, service: ServiceDefinition) -> None:
    """See that the service may publish as the settings say.

    Raises:
        UnpublishableError: it cannot.
        ForgetfulChangeError: events of the way that it published by before would be forgotten.
    """
    publishing = publishing_of(installation, service.name)
    state = await _state(installation, service)
    check_change(state, publishing, service.name)
    if state is None and publishing.keeps_rows and installation.settings.postgresql_url:
        await _open_forgotten_rows(installation, service)


async def _open_forgotten_rows(installation: Installation, service: ServiceDefinition) -> None:
    with driver("PostgreSQL"):
        from slackwater.database.postgresql_transaction import driver_of
        from slackwater.mining.way import are_rows_refused, open_forgotten_rows
    database, events = installation.database(service.name), service.tables.events.name
    if await database.read(lambda each: are_rows_refused(driver_of(each), events)):
        await database.transact(lambda each: open_forgotten_rows(each, events, service.recount))


async def _wait_for_rows(installation: Installation, service: ServiceDefinition) -> None:
    """Wait until the relay has made rows of all messages: until then no row may be written."""
    for delay_s in backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S):
        state = await _state(installation, service)
        if state is None:
            return
        check_change(state, service.publishing, service.name)
        _log.warning(
            "the service waits until its messages are rows",
            source=service.name,
            remedy=f"see that a relay with {Publishing.LOG_OUTBOX} runs",
        )
        await asyncio.sleep(delay_s)


async def _begin_way(
    installation: Installation, service: ServiceDefinition, publishing: Publishing
) -> None:
    with driver("PostgreSQL"):
        from slackwater.mining.beginning import begin_messages
        from slackwater.mining.miner import slot_of
        from slackwater.mining.way import begin_way
    database, events = _postgresql(installation, service), service.tables.events.name
    if publishing is Publishing.LOG_MESSAGES:
        slot = slot_of(database, service.tables, publishing)
        await database.outside(lambda connection: begin_messages(connection, slot, events))
    else:
        await database.outside(lambda connection: begin_way(connection, publishing, events))


async def _state(installation: Installation, service: ServiceDefinition) -> MinedState | None:
    mined = service.tables.mined
    return await installation.database(service.name).read(
        lambda connection: read_mined(connection, mined)
    )


def _postgresql(installation: Installation, service: ServiceDefinition) -> PostgresqlDatabase:
    from slackwater.database.postgresql import PostgresqlDatabase

    database = installation.database(service.name)
    assert isinstance(database, PostgresqlDatabase), "the settings were checked"
    return database


def _refuse_unknown_names(installation: Installation) -> None:
    known = installation.manifest.services
    unknown = sorted(installation.settings.publishing.keys() - {*known})
    if unknown:
        raise UnpublishableError(
            f"SLACKWATER_PUBLISHING names {', '.join(unknown)}; there are only {', '.join(known)}"
        )
