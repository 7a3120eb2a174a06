"""A relay as a part."""

from __future__ import annotations

from slackwater.installation import Installation
from slackwater.outbox.relay import Relay
from slackwater.parts.service import prepare_service


async def run_relay(installation: Installation, name: str) -> None:
    """Relay what the service `name` commits whenever no other relay does, until cancelled."""
    service = installation.manifest.service(name)
    await prepare_service(installation, service)
    await Relay(
        name,
        topics=service.topics,
        tables=service.tables,
        database=installation.database(name),
        log=installation.event_log,
        doorbell=installation.doorbell,
        heartbeat_ms=installation.settings.heartbeat_ms,
        clock=installation.clock,
    ).run()
