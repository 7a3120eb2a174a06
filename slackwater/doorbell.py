"""Doorbells wake whoever waits for news, in this process or another on the same machine.

A bell only saves time: whoever waits also looks by itself after its timeout, so a ring that is
lost delays a step and never loses one.
"""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Somebody waiting at one bell."""

    async def wait(self, *, timeout_ms: int) -> bool:
        """Return True as soon as the bell has rung since the last call, False when time is up."""
        ...

    def close(self) -> None: ...


class Doorbell(Protocol):
    """Rings and listens by name; names are free text such as `log/orders.events`."""

    def ring(self, name: str) -> None:
        """Wake every listener of `name`; never blocks, callable from any thread."""
        ...

    def listen(self, name: str) -> Listener:
        """Begin to listen now; rings from now on are not missed. Needs a running event loop."""
        ...

    def close(self) -> None: ...
