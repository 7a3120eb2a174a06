"""What relays a service's events, as the settings choose.

The driver of mining is imported only where it is chosen, because embedded storage has none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from slackwater.adapters import driver
from slackwater.errors import ConfigurationError
from slackwater.installation import Installation
from slackwater.logs import logger
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
    chosen = installation.settings.publishing
    unknown = sorted(chosen.keys() - {*installation.manifest.services})
    if unknown:
        raise UnpublishableError(
            f"SLACKWATER_PUBLISHING names {', '.join(unknown)}; there are only "
            f"{', '.join(installation.manifest.services)}"
        )
    publishing = chosen.get(name, Publishing.OUTBOX)
    if publishing is not Publishing.OUTBOX and installation.settings.postgresql_url is None:
        raise UnpublishableError(
            f"{name} cannot publish by {publishing} from SQLite, which has no log to mine; "
            "choose OUTBOX, or set SLACKWATER_POSTGRESQL_URL"
        )
    return publishing


def open_relay(installation: Installation, service: ServiceDefinition) -> Relay:
    """Return what relays the service's events.

    Raises:
        UnpublishableError: it cannot publish as the settings say.
    """
    retention_s = installation.settings.outbox_retention_s
    kind: Callable[..., Relay] = partial(Relay, retention_s=retention_s)
    if publishing_of(installation, service.name) is Publishing.LOG_OUTBOX:
        with driver("PostgreSQL"):
            from slackwater.mining.miner import Miner
        kind = Miner
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
