"""Doorbells wake whoever waits for news, in this process or another.

A bell only saves time: whoever waits also looks by itself after its timeout, so a ring that is
lost delays a step and never loses one.
"""

from __future__ import annotations

from typing import Protocol

from slackwater.capability import Capability


class DoorbellCapability(Capability):
    """Whom a doorbell reaches beyond the processes of this machine."""

    SEVERAL_MACHINES = (
        "SEVERAL_MACHINES",
        "whoever waits on another machine hears of news at the next heartbeat",
    )
    """Listeners on any machine hear a ring."""


class Listener(Protocol):
    """Somebody waiting at one bell."""

    async def wait(self, *, timeout_ms: int) -> bool:
        """Return True as soon as the bell has rung since the last call, False when time is up."""
        ...

    def close(self) -> None: ...


class Doorbell(Protocol):
    """Rings and listens by name; names are free text such as `log/orders.events`."""

    @property
    def capabilities(self) -> frozenset[DoorbellCapability]: ...

    def ring(self, name: str) -> None:
        """Wake every listener of `name`; never blocks, callable from any thread."""
        ...

    def listen(self, name: str) -> Listener:
        """Begin to listen now; rings from now on are not missed. Needs a running event loop."""
        ...

    def close(self) -> None: ...
