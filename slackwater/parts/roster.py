"""The roster: every part of an installation, by the words that start it on the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from slackwater.installation import Installation
from slackwater.manifest import Manifest
from slackwater.parts.gateway import run_gateway
from slackwater.parts.projector import run_projector
from slackwater.parts.relay import run_relay
from slackwater.parts.service import run_service


class Part(msgspec.Struct, frozen=True):
    """One part; `slackwater <arguments>` runs it as a process of its own."""

    arguments: tuple[str, ...]
    run: Callable[[Installation], Awaitable[None]]

    @property
    def name(self) -> str:
        return " ".join(self.arguments)


def service_part(name: str) -> Part:
    return Part(("service", name), lambda installation: run_service(installation, name))


def relay_part(name: str) -> Part:
    return Part(("relay", name), lambda installation: run_relay(installation, name))


def projector_part(name: str) -> Part:
    return Part(("projector", name), lambda installation: run_projector(installation, name))


def gateway_part() -> Part:
    return Part(("gateway",), run_gateway)


def all_parts(manifest: Manifest) -> list[Part]:
    """Return every part, in the order in which starting them wastes the least waiting."""
    return [
        *map(service_part, manifest.services),
        *map(relay_part, manifest.services),
        *map(projector_part, manifest.projections),
        gateway_part(),
    ]
