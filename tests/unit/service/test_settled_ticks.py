"""A tick is told only in a history that was compared with the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from slackwater.errors import StructuralError, TransientError
from slackwater.outbox.ticks import TickInHistory
from slackwater.service.settled_ticks import SettledTicks
from slackwater.watermarks.tick import Tick


class Server:
    """Answers with the history that it writes; its comparison with the log may wait, or fail."""

    tables = cast("Any", type("Tables", (), {"tick": None}))

    def __init__(self) -> None:
        self.history = "first"
        self.compared: str | None = None
        self.comparisons = 0
        self.failure: Exception | None = None
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def read(self, _work: Callable[[Any], Any]) -> TickInHistory:
        return TickInHistory(Tick(1, 1, "t"), self.history)

    async def settle(self) -> str:
        self.comparisons += 1
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return self.compared or self.history

    async def settled(self) -> SettledTicks:
        ticks = SettledTicks(
            "orders", tables=self.tables, database=cast("Any", self), settle=self.settle
        )
        await ticks.begin()
        return ticks


async def _all_wait() -> None:
    """Return when every task has come to where it waits for the server, or for its turn."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_history_is_compared_once() -> None:
    server = Server()
    ticks = await server.settled()
    for _ in range(3):
        assert (await ticks.current()).n == 1
    assert server.comparisons == 1
    server.history = "second"
    await asyncio.gather(*(ticks.current() for _ in range(9)))
    assert server.comparisons == 2


async def test_what_another_server_was_compared_for_is_not_told() -> None:
    """As where old connections still lead to the server of before."""
    server = Server()
    server.compared = "second"
    ticks = await server.settled()
    with pytest.raises(TransientError, match="take over"):
        await ticks.current()
    server.history = "second"
    assert (await ticks.current()).n == 1


async def test_whoever_waits_for_a_comparison_that_fails_fails_with_it() -> None:
    server = Server()
    ticks = await server.settled()
    server.history, server.failure = "second", TransientError("no log")
    server.may_end.clear()
    asking = [asyncio.create_task(ticks.current()) for _ in range(9)]
    await _all_wait()
    server.may_end.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(each, TransientError) for each in told)
    assert server.comparisons == 2
    server.failure = None
    assert (await ticks.current()).n == 1
    assert server.comparisons == 3


async def test_what_somebody_has_to_mend_is_told_as_what_passes() -> None:
    server = Server()
    ticks = await server.settled()
    server.history, server.failure = "second", StructuralError("events were removed")
    with pytest.raises(TransientError, match="events were removed"):
        await ticks.current()


async def test_one_who_gives_up_holds_up_nobody() -> None:
    server = Server()
    ticks = await server.settled()
    server.history = "second"
    server.may_end.clear()
    leaving, staying = (asyncio.create_task(ticks.current()) for _ in range(2))
    await _all_wait()
    leaving.cancel()
    server.may_end.set()
    assert (await staying).n == 1
    assert leaving.cancelled()
