"""The roster: every part of an installation, by the words that start it on the command line.

A part is loaded where it is asked for, because a process of its own needs none of the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from slackwater.installation import Installation
from slackwater.manifest import Manifest


class Part(msgspec.Struct, frozen=True):
    """One part; `slackwater <arguments>` runs it as a process of its own."""

    arguments: tuple[str, ...]
    run: Callable[[Installation], Awaitable[None]]

    @property
    def name(self) -> str:
        return " ".join(self.arguments)


def service_part(name: str) -> Part:
    from slackwater.parts.service import run_service

    return Part(("service", name), lambda installation: run_service(installation, name))


def relay_part(name: str) -> Part:
    from slackwater.parts.relay import run_relay

    return Part(("relay", name), lambda installation: run_relay(installation, name))


def projector_part(name: str) -> Part:
    from slackwater.parts.projector import run_projector

    return Part(("projector", name), lambda installation: run_projector(installation, name))


def gateway_part() -> Part:
    from slackwater.parts.gateway import run_gateway

    return Part(("gateway",), run_gateway)


def all_parts(manifest: Manifest) -> list[Part]:
    """Return every part, in the order in which starting them wastes the least waiting."""
    return [
        *map(service_part, manifest.services),
        *map(relay_part, manifest.services),
        *map(projector_part, manifest.projections),
        gateway_part(),
    ]
