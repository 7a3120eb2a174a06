"""The contract of a doorbell: whoever listens is woken, soon, and nobody else is.

Subclass `DoorbellContract` in a test module, name its `adapter` and provide the fixtures `bell` and
`other`: two handles as two processes have them, both heard by each other when a test begins.
"""

from __future__ import annotations

import asyncio
import threading
import time

from slackwater.doorbell import Doorbell, Listener
from slackwater.testing.claims import AdapterContract, Guarantee, holds

_DEADLINE_MS = 20_000
_QUIET_MS = 100
_RINGS = 1_000


class DoorbellContract(AdapterContract):
    """What every adapter of `Doorbell` does; the test names are the contract."""

    @holds(Guarantee.DELIVERY)
    async def test_a_ring_wakes_the_listeners_of_its_name_in_every_process(
        self, bell: Doorbell, other: Doorbell
    ) -> None:
        here, there, elsewhere = bell.listen("log/a"), other.listen("log/a"), other.listen("log/b")
        await quiet(here, there, elsewhere)
        bell.ring("log/a")
        assert await asyncio.gather(*(each.wait(timeout_ms=_DEADLINE_MS) for each in (here, there)))
        assert not await elsewhere.wait(timeout_ms=_QUIET_MS)

    async def test_a_ring_before_the_wait_is_not_missed(
        self, bell: Doorbell, other: Doorbell
    ) -> None:
        listener, witness = bell.listen("log/a"), bell.listen("log/a")
        await quiet(listener, witness)
        other.ring("log/a")
        assert await witness.wait(timeout_ms=_DEADLINE_MS)
        assert await listener.wait(timeout_ms=_QUIET_MS)

    async def test_ones_own_rings_are_heard_once(self, bell: Doorbell) -> None:
        listener = bell.listen("log/a")
        await quiet(listener)
        bell.ring("log/a")
        assert await listener.wait(timeout_ms=_DEADLINE_MS)
        assert not await listener.wait(timeout_ms=_QUIET_MS)

    async def test_without_a_ring_the_wait_ends_when_its_time_is_up(self, bell: Doorbell) -> None:
        listener = bell.listen("log/a")
        await quiet(listener)
        assert not await listener.wait(timeout_ms=20)

    async def test_any_thread_may_ring_and_ringing_never_blocks(
        self, bell: Doorbell, other: Doorbell
    ) -> None:
        listener = other.listen("log/a")
        began_s = time.monotonic()
        threads = [threading.Thread(target=ring_often, args=[bell]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert time.monotonic() - began_s < _DEADLINE_MS / 1000
        assert await listener.wait(timeout_ms=_DEADLINE_MS)

    async def test_a_closed_listener_hears_nothing(self, bell: Doorbell) -> None:
        closed, witness = bell.listen("log/a"), bell.listen("log/a")
        await quiet(closed, witness)
        closed.close()
        bell.ring("log/a")
        assert await witness.wait(timeout_ms=_DEADLINE_MS)
        assert not await closed.wait(timeout_ms=0)


def ring_often(bell: Doorbell) -> None:
    for _ in range(_RINGS):
        bell.ring("log/a")


async def quiet(*listeners: Listener) -> None:
    """Hear what is left of the doorbells' beginning, when an adapter wakes everybody."""
    for listener in listeners:
        while await listener.wait(timeout_ms=_QUIET_MS):
            pass
