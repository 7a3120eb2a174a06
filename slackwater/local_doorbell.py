"""A doorbell inside one process: enough where nobody else listens, and a part of wider ones."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable

from slackwater.doorbell import DoorbellCapability


class LocalDoorbell:
    """Rings and listens by name, across the threads and event loops of one process."""

    capabilities: frozenset[DoorbellCapability] = frozenset()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: defaultdict[str, set[LocalListener]] = defaultdict(set)

    def ring(self, name: str) -> None:
        """Wake every listener of `name`; callable from any thread."""
        with self._lock:
            listeners = tuple(self._listeners.get(name, ()))
        for listener in listeners:
            listener.wake()

    def ring_all(self) -> None:
        """Wake every listener of every bell: some rings may have been missed."""
        with self._lock:
            names = tuple(self._listeners)
        for name in names:
            self.ring(name)

    def listen(self, name: str) -> LocalListener:
        """Begin to listen now; needs a running event loop."""
        listener = LocalListener(lambda: self._forget(name, listener))
        with self._lock:
            self._listeners[name].add(listener)
        return listener

    def close(self) -> None:
        with self._lock:
            self._listeners.clear()

    def _forget(self, name: str, listener: LocalListener) -> None:
        with self._lock:
            self._listeners[name].discard(listener)


class LocalListener:
    """Somebody waiting at one bell of a `LocalDoorbell`."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    async def wait(self, *, timeout_ms: int) -> bool:
        """Return True as soon as the bell has rung since the last call, False when time is up."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # its event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._rung.set)

    def close(self) -> None:
        self._forget()
