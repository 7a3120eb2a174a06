"""A relay as a part."""

from __future__ import annotations

from slackwater.installation import Installation
from slackwater.parts.publishing import open_relay, prepare_relaying
from slackwater.parts.service import prepare_service


async def run_relay(installation: Installation, name: str) -> None:
    """Relay what the service `name` commits whenever no other relay does, until cancelled."""
    service = installation.service(name)
    await prepare_service(installation, service)
    await prepare_relaying(installation, service)
    await open_relay(installation, service).run()
