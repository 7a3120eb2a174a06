"""Faults: each is on for a while, and what is checked meanwhile counts as checked under it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

from tests.end_to_end.harness import Running, free_port_block
from tests.faults.loopback_proxy import LoopbackProxy
from tests.faults.oracle.poison import SWITCH
from tests.faults.oracle.switches import LEASE_FREE_SETTING, Switches
from tests.faults.oracle.writers import Writer

WINDOW_S = 3.0
_END_S = 20.0
_REBUILD_S = 240.0
_LOOK_S = 0.05
KINDS = ("gateway", "service", "relay", "projector")
_SOURCES = ("customers", "inventory", "orders")
_PROJECTIONS = ("customer_orders", "order_search", "orders", "products")


class FaultFailedError(Exception):
    """A fault was not injected as it should have been; what was checked under it proves less."""


class Stage:
    """What faults act on."""

    def __init__(
        self,
        running: Running,
        program: tuple[str, ...],
        switches: Switches,
        writers: list[Writer],
        rng: random.Random,
        search_proxy: LoopbackProxy | None,
    ) -> None:
        self.search_proxy = search_proxy
        self.running = running
        self.program = program
        self.switches = switches
        self.writers = writers
        self.rng = rng
        self.writing = asyncio.Event()
        self.writing.set()

    async def part_of(self, kind: str) -> tuple[str, int]:
        """Return some part of a kind and its process; wait while none runs."""
        await _until(lambda: bool(self.parts_of(kind)))
        return self.rng.choice(sorted(self.parts_of(kind).items()))

    def parts_of(self, kind: str) -> dict[str, int]:
        """Return the processes of the parts of a kind, by their names."""
        pids = self.running.part_pids()
        return {name: pid for name, pid in pids.items() if name.startswith(kind)}

    @asynccontextmanager
    async def one_more(self, *arguments: str, **settings: str) -> AsyncIterator[None]:
        """One more process of a part."""
        process = self._start(arguments, settings)
        try:
            yield
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, _END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(
        self, arguments: tuple[str, ...], settings: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        port = str(free_port_block())  # parts add their own offset to it
        log = self.running.data_dir.parent / "one-more.log"
        with log.open("ab") as file:
            return subprocess.Popen(
                [
                    sys.executable,
                    *(*self.program, *arguments),
                    *("--port", port, "--data-dir", str(self.running.data_dir)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**self.running.environment, **settings},
            )


async def relay_killed_before_marking(stage: Stage) -> None:
    source = stage.rng.choice(_SOURCES)
    name = f"die-before-mark.{source}"
    stage.switches.turn_on(name)
    await _until(lambda: not stage.switches.is_on(name))
    await asyncio.sleep(WINDOW_S)


async def published_twice(stage: Stage) -> None:
    await _switched(stage, "publish-twice", WINDOW_S)


async def no_refresh(stage: Stage) -> None:
    await _switched(stage, "no-refresh", WINDOW_S)


async def slow_projectors(stage: Stage) -> None:
    await _switched(stage, "slow-projectors", WINDOW_S)


async def failed_shard(stage: Stage) -> None:
    """A shard fails, and what it had found is not among the hits: as if it did not exist."""
    proxy = stage.search_proxy
    assert proxy is not None
    before = proxy.rewritten
    proxy.rewrites = {
        b'"skipped":0,"failed":0': b'"skipped":0,"failed":1',
        b'"total":{"value":1,': b'"total":{"value":0,',
    }
    try:
        await asyncio.sleep(WINDOW_S)
    finally:
        proxy.rewrites = {}
    if proxy.rewritten == before:
        raise FaultFailedError("no answer of the search engine was rewritten")


async def clock_an_hour_ahead(stage: Stage) -> None:
    await _clock_stepped(stage, "clock-forward")


async def clock_an_hour_behind(stage: Stage) -> None:
    await _clock_stepped(stage, "clock-back")


async def _clock_stepped(stage: Stage, step: str) -> None:
    """The clocks of the parts of one kind jump, or those of all, and back again."""
    kinds = stage.rng.choice([*([kind] for kind in KINDS), KINDS])
    for kind in kinds:
        stage.switches.turn_on(f"{step}.{kind}")
    try:
        await asyncio.sleep(WINDOW_S)
    finally:
        for kind in kinds:
            stage.switches.turn_off(f"{step}.{kind}")


async def two_relays(stage: Stage) -> None:
    source = stage.rng.choice(_SOURCES)
    async with stage.one_more("relay", source, **{LEASE_FREE_SETTING: "1"}):
        await asyncio.sleep(2 * WINDOW_S)


async def long_transaction(stage: Stage) -> None:
    """A transaction stays open while others commit, and nothing follows it for a while."""
    await stage.rng.choice(stage.writers).step(held_s=WINDOW_S / 2, rests_s=WINDOW_S)


async def rolled_back(stage: Stage) -> None:
    for _ in range(20):
        await stage.rng.choice(stage.writers).step(rolled_back=True)
        await asyncio.sleep(WINDOW_S / 20)


async def rebalance(stage: Stage) -> None:
    async with stage.one_more("projector", stage.rng.choice(_PROJECTIONS)):
        await asyncio.sleep(2 * WINDOW_S)
    await asyncio.sleep(WINDOW_S / 2)


async def paused_in_a_group(stage: Stage) -> None:
    """One of two projectors stands still; the other one goes on with its partitions."""
    name = stage.rng.choice(_PROJECTIONS)
    async with stage.one_more("projector", name):
        await asyncio.sleep(WINDOW_S)
        await _paused(stage, f"projector {name}")


async def paused_projector(stage: Stage) -> None:
    await _paused(stage, "projector")


async def paused_relay(stage: Stage) -> None:
    await _paused(stage, "relay")


async def killed_projector(stage: Stage) -> None:
    await _killed(stage, "projector")


async def killed_service(stage: Stage) -> None:
    await _killed(stage, "service")


async def killed_gateway(stage: Stage) -> None:
    await _killed(stage, "gateway")


async def _killed(stage: Stage, kind: str) -> None:
    """Kill a part; the window lasts until there are answers again, and some more."""
    name, pid = await stage.part_of(kind)
    _signal(pid, signal.SIGKILL)
    await _until(lambda: stage.parts_of(kind).get(name, pid) != pid)
    await asyncio.to_thread(stage.running.wait_ready)
    await asyncio.sleep(2 * WINDOW_S)


async def idle_partitions(stage: Stage) -> None:
    """One register goes on; all the others stand still."""
    stage.writing.clear()
    try:
        writer = stage.rng.choice(stage.writers)
        for _ in range(10):
            await writer.step()
            await asyncio.sleep(WINDOW_S / 10)
    finally:
        stage.writing.set()


async def poison(stage: Stage) -> None:
    """Events are parked, and replayed once what is wrong with them is mended."""
    await _switched(stage, SWITCH, 2 * WINDOW_S)
    for _ in range(2):  # what was parked while the first one ran, too
        await _slackwater(stage, "dead-letter", "replay", "--yes")


async def rebuild_switch(stage: Stage) -> None:
    name = stage.rng.choice(_PROJECTIONS)
    await _slackwater(stage, "rebuild", name)
    await _slackwater(stage, "rebuild", name, "--drop-old")


async def _slackwater(stage: Stage, *arguments: str) -> None:
    """Run a command to its end, and no longer than a rebuild may take; it must succeed."""
    log = stage.running.data_dir.parent / "commands.log"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "slackwater.command_line", *arguments),
            *("--data-dir", str(stage.running.data_dir)),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=stage.running.environment,
        )
    try:
        async with asyncio.timeout(_REBUILD_S):
            status = await process.wait()
    finally:
        if process.returncode is None:  # too slow, or the watch is over
            process.kill()
            await process.wait()
    if status != 0:
        raise FaultFailedError(f"{' '.join(arguments)} ended with {status}: {log.read_text()}")


async def _switched(stage: Stage, name: str, seconds: float) -> None:
    stage.switches.turn_on(name)
    try:
        await asyncio.sleep(seconds)
    finally:
        stage.switches.turn_off(name)


async def _paused(stage: Stage, kind: str) -> None:
    _, pid = await stage.part_of(kind)
    try:
        _signal(pid, signal.SIGSTOP)
        await asyncio.sleep(WINDOW_S / 2)
    finally:
        _signal(pid, signal.SIGCONT)
    await asyncio.sleep(WINDOW_S / 2)


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_END_S):
        while not holds():
            await asyncio.sleep(_LOOK_S)


FAULTS_OF_ENGINES = {"failed_shard": "elasticsearch"}
FAULTS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        relay_killed_before_marking,
        published_twice,
        two_relays,
        long_transaction,
        rolled_back,
        rebalance,
        paused_in_a_group,
        idle_partitions,
        paused_projector,
        paused_relay,
        killed_projector,
        killed_service,
        killed_gateway,
        slow_projectors,
        no_refresh,
        failed_shard,
        clock_an_hour_ahead,
        clock_an_hour_behind,
        poison,
        rebuild_switch,
    )
}


def faults_of(*, engines: Collection[str]) -> list[str]:
    """Return the names of all faults that storage on these engines can have."""
    return [name for name in FAULTS if FAULTS_OF_ENGINES.get(name) in (None, *engines)]
