"""One watch of the oracle: an installation under writes, reads and faults, and what was found."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slackwater.installation import Installation
from slackwater.settings import load_settings
from tests.end_to_end.harness import Running, until
from tests.engines import as_settings
from tests.faults.loopback_proxy import LoopbackProxy
from tests.faults.oracle.faults import FAULTS, Stage
from tests.faults.oracle.pace import Pace
from tests.faults.oracle.readers import Reader, World
from tests.faults.oracle.registers import Register
from tests.faults.oracle.switches import FOLDER_SETTING, SAFEGUARDS_OFF_SETTING, Switches
from tests.faults.oracle.tokens import TokenClient, TokenTally
from tests.faults.oracle.verdicts import Tally
from tests.faults.oracle.writers import (
    ORDERED,
    LimitWriter,
    NameWriter,
    OrderWriter,
    StockWriter,
    Writer,
    WriteSide,
    new_customers,
    product,
)

PROGRAM = ("-m", "tests.faults.oracle.program")
WRITES_A_SECOND = 40.0
WRITES_A_SECOND_ON_ENGINES = 12.0
"""Two cores keep up with these; where all that runs is a queue, hardly anything is asked."""
CUSTOMERS = 12
PRODUCTS = 12
NAME_WRITERS = 3
READY_S = 180.0
CALM_S = 1.0
_SETTLED_S = 120.0
_SEARCH = "SLACKWATER_ELASTICSEARCH_URL"
_NOBODY = "Q3VzdG9tZXI6bm9ib2R5"


@dataclass(frozen=True)
class Plan:
    """How much of what; `faults` are those of `FAULTS` by name, none in fair weather."""

    seed: int
    requests: int
    readers: int = 4
    reads_a_second: float | None = None
    """All readers together; as many as they can where it is None."""
    token_clients: int = 2
    writes_a_second: float = WRITES_A_SECOND
    only_orders: bool = False
    """Whether all that is written are orders, which a saga decides."""
    faults: Sequence[str] = ()
    safeguards_off: Sequence[str] = ()
    switches_on: Sequence[str] = ()
    """From the beginning to the end."""
    ends_with_a_violation: bool = False


def writes_a_second(*, engines: bool) -> float:
    """Return a rate at which bounds say how fresh things are, not how long the queue is."""
    return WRITES_A_SECOND_ON_ENGINES if engines else WRITES_A_SECOND


class Watch:
    """Writes, reads and breaks things until enough was asked."""

    def __init__(
        self,
        running: Running,
        installation: Installation,
        switches: Switches,
        plan: Plan,
        search_proxy: LoopbackProxy | None,
    ) -> None:
        self._running = running
        self._side = WriteSide(installation)
        self._switches = switches
        self._plan = plan
        self._search_proxy = search_proxy
        self._rng = random.Random(plan.seed)
        self._world = World()
        self._writers: list[Writer] = []
        self._faults: set[str] = set()
        self._written = 0
        self._began_s = 0.0
        self.tally = Tally()
        self.tokens = TokenTally()

    @property
    def writes_a_second(self) -> float:
        """How many steps of writers were done, faults and pauses included."""
        return round(self._written / (time.monotonic() - self._began_s), 1)

    async def run(self) -> Tally:
        await self._set_up()
        self._began_s = time.monotonic()
        stage = Stage(
            self._running, PROGRAM, self._switches, self._writers, self._rng, self._search_proxy
        )
        for name in self._plan.switches_on:
            self._switches.turn_on(name)
        others = [
            asyncio.create_task(self._write(stage)),
            asyncio.create_task(self._break(stage)),
            *(
                asyncio.create_task(self._use_tokens(n, stage))
                for n in range(self._plan.token_clients)
            ),
        ]
        readers = [asyncio.create_task(self._read(n)) for n in range(self._plan.readers)]
        try:
            asked = asyncio.gather(*readers)
            done, _ = await asyncio.wait([*others, asked], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*others, *readers):
                task.cancel()
            await asyncio.gather(*others, *readers, return_exceptions=True)
        return self.tally

    async def _set_up(self) -> None:
        """Create everything that is read later, and wait until all of it is shown."""
        await asyncio.to_thread(self._live)
        keys = await new_customers(self._side, [f"Register {n}" for n in range(CUSTOMERS)])
        skus = [f"ORACLE-{n}" for n in range(PRODUCTS)]
        for sku in (*skus, ORDERED):
            await self._side.run("inventory", "add-product", **product(sku))
        world = self._world
        world.limits = {key: Register(key) for key in keys}
        world.orders = {key: Register(key) for key in keys}
        world.stocks = {sku: Register(sku) for sku in skus}
        self._writers = [
            *(LimitWriter(self._side, each) for each in world.limits.values()),
            *(OrderWriter(self._side, each) for each in world.orders.values()),
            *(StockWriter(self._side, each) for each in world.stocks.values()),
            *(NameWriter(self._side, world.names, self._rng) for _ in range(NAME_WRITERS)),
        ]
        await asyncio.to_thread(self._can_be_ordered)
        await asyncio.to_thread(self._shown, len(keys), len(skus) + 1)

    def _live(self) -> None:
        """Wait until every source is known to every read model: then all services are there."""
        until(
            lambda: self._running.store.ask("{ readModels { maxStalenessMs } }").data,
            lambda data: all(each["maxStalenessMs"] is not None for each in data["readModels"]),
            READY_S,
        )

    def _can_be_ordered(self) -> None:
        """Wait until orders has the product in its copy of the catalogue."""
        wrong = {"amount": "0.01", "currency": "EUR"}  # refused before anything is placed
        until(
            lambda: self._running.store.place_order(_NOBODY, ORDERED, expectedTotal=wrong),
            lambda refused: refused["__typename"] == "PriceChanged",
            _SETTLED_S,
        )

    def _shown(self, customers: int, products: int) -> None:
        query = """{ customers(first: 100) { edges { cursor } }
          products(first: 100) { edges { cursor } } }"""
        wanted = {"customers": customers, "products": products}
        until(
            lambda: self._running.store.ask(query).data,
            lambda data: {name: len(each["edges"]) for name, each in data.items()} == wanted,
            _SETTLED_S,
        )

    async def _write(self, stage: Stage) -> None:
        """Keep a rate, open-loop, without ever having too much under way."""
        under_way: set[asyncio.Task[None]] = set()
        writers = self._writers
        if self._plan.only_orders:
            writers = [each for each in writers if isinstance(each, OrderWriter)]
        pace = Pace(self._plan.writes_a_second, self._rng)
        while True:
            await stage.writing.wait()
            writer = self._rng.choice(writers)
            under_way.add(asyncio.create_task(writer.step()))
            await pace.wait()
            done = {task for task in under_way if task.done()}
            for task in done:
                task.result()
            under_way -= done
            self._written += len(done)
            if len(under_way) > len(self._writers):
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _break(self, stage: Stage) -> None:
        """Inject one fault after the other, in rounds of all in a new order."""
        if not self._plan.faults:
            await asyncio.Event().wait()
        while True:
            for name in self._rng.sample(list(self._plan.faults), len(self._plan.faults)):
                await self._inject(name, stage)
                while name not in self.tally.by_fault:  # nobody has had an answer meanwhile
                    await self._inject(name, stage)
            self.tally.rounds += 1

    async def _inject(self, name: str, stage: Stage) -> None:
        """Let one fault happen, and leave a while for what was asked in it to be answered."""
        self._faults.add(name)
        try:
            await FAULTS[name](stage)
        finally:
            self._faults.discard(name)
        await asyncio.sleep(CALM_S)

    async def _read(self, number: int) -> None:
        wanted = self._plan.reads_a_second
        pace = Pace(wanted / self._plan.readers, self._rng) if wanted else None
        reader = Reader(
            self._running.port,
            self._world,
            self.tally,
            seed=self._plan.seed * 1000 + number,
            faults=lambda: self._faults,
        )
        try:
            while not self._is_done():
                await reader.ask()
                if pace is not None:
                    await pace.wait()
        finally:
            reader.close()

    async def _use_tokens(self, number: int, stage: Stage) -> None:
        seed = self._plan.seed * 1000 + self._plan.readers + number
        await TokenClient(self._running.port, self.tokens, writing=stage.writing, seed=seed).run()

    def _is_done(self) -> bool:
        if self._plan.ends_with_a_violation and self.tally.violations:
            return True
        if self._plan.faults and not (self.tally.rounds or self._plan.ends_with_a_violation):
            return False  # every fault was there at least once
        return self.tally.requests >= self._plan.requests


@asynccontextmanager
async def watching(
    folder: Path, plan: Plan, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Watch]:
    """Start an installation of doubles in a folder, and stop it at the end.

    `settings` name the engines as the environment does; without any, all storage is embedded.
    """
    switches = Switches(folder / "switches")
    switches.folder.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        storage, proxy = dict(settings or {}), None
        if _SEARCH in storage:
            address = urlsplit(storage[_SEARCH])
            assert address.hostname
            assert address.port
            proxy = LoopbackProxy(address.hostname, address.port)
            await stack.enter_async_context(proxy.running())
            storage[_SEARCH] = f"http://127.0.0.1:{proxy.port}"
        running = Running(
            folder / "data",
            "--processes",
            program=(*PROGRAM, "run"),
            settings={
                **storage,
                FOLDER_SETTING: str(switches.folder),
                SAFEGUARDS_OFF_SETTING: ",".join(plan.safeguards_off),
            },
        )
        stack.push_async_callback(asyncio.to_thread, running.stop)
        await asyncio.to_thread(running.wait_ready, READY_S)
        own = {**as_settings(storage), "data_dir": running.data_dir}
        installation = Installation(load_settings(own))
        stack.push_async_callback(installation.close)
        yield Watch(running, installation, switches, plan, proxy)
