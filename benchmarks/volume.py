"""Sends many events through the whole loop, from outside, and watches rates and memory.

    python benchmarks/volume.py --events 1000000 --folder /var/tmp/volume [--customers 500]
                                [--engines] [--record]

Clients place orders through the gateway without a pause until the log holds so many events; then
they stop, the read models catch up, and `slackwater verify` compares them with the services. What
was seen is appended to `samples.jsonl` in the folder as it is seen; the same command goes on where
an earlier one was stopped. A customer's document carries its orders, so fewer customers make larger
documents. `--engines` uses those that the environment names, as `make engines` prints it; else
everything is embedded. Each part is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.client import PLACE, Connection
from benchmarks.record import record
from slackwater.installation import Installation
from slackwater.settings import load_settings
from slackwater.watermarks.record import WATERMARKS
from tests.end_to_end.harness import Running
from tests.engines import NAMES, engine_url

STATUS = "{ readModels { name status lagEvents maxStalenessMs } }"
CLIENTS = 12
CUSTOMERS = 500
LIMIT = "100000000.00"
PRODUCTS = 50
SAMPLE_S = 10.0
READY_S = 180.0
SETTLED_S = 1_800.0
VERIFY_S = 3_600.0

_STAGES = ("placing", "catching up")
Sample = dict[str, Any]


class Volume:
    """One installation in a folder that outlives it, so that a run can be stopped and go on."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._samples = folder / "samples.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        data_dir = folder / "data"
        environment = {
            **os.environ,
            **{f"SLACKWATER_{name.upper()}": each for name, each in settings.items()},
        }
        self._running = Running(data_dir, "--processes", settings=environment)
        self._installation = Installation(load_settings({**settings, "data_dir": data_dir}))
        topics = self._installation.manifest.topics()
        self._topics = [topic.name for topic in topics if topic != WATERMARKS]

    async def run(self, events_wanted: int, customers: int) -> None:
        """Place orders until the log holds so many events, and let the read models catch up."""
        async with self.ready(customers):
            async with self.traffic(CLIENTS):
                while (await self.sample("placing"))["events"] < events_wanted:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(SAMPLE_S)
            await self.settle()

    @asynccontextmanager
    async def ready(self, customers: int = CUSTOMERS) -> AsyncIterator[None]:
        """Wait until the installation answers and has what the first run needs, and look at it."""
        try:
            await asyncio.to_thread(self._running.wait_ready, READY_S)
            self._customers = await asyncio.to_thread(self._filled, customers)
            yield
        finally:
            await self._installation.close()

    @asynccontextmanager
    async def traffic(self, clients: int) -> AsyncIterator[None]:
        """So many clients place orders without a pause; a failure of one ends it all."""
        async with asyncio.TaskGroup() as tasks:
            placing = [tasks.create_task(self._place(n)) for n in range(clients)]
            yield
            for client in placing:
                client.cancel()

    def stop(self) -> None:
        self._running.stop()

    def verified(self) -> str:
        return self._running.verify(VERIFY_S).stdout

    def command(self, *arguments: str) -> str:
        """Run another command on the installation; return what it printed."""
        done = self._running.command(*arguments)
        if done.returncode != 0:
            command = " ".join(arguments)
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def samples(self) -> list[Sample]:
        """Return all that was noted in the folder, by earlier runs too."""
        return [json.loads(line) for line in self._samples.read_text().splitlines()]

    def _filled(self, customers: int) -> list[str]:
        """Return customers who can afford anything; the first run creates them, and products."""
        stored = self._samples.with_name("customers.json")
        if not stored.exists():
            store = self._running.store
            for number in range(PRODUCTS):
                store.add_product(f"V{number}", stock=100_000_000, wait=number == PRODUCTS - 1)
            names = [f"V {n}" for n in range(customers)]
            with ThreadPoolExecutor(CLIENTS) as clients:
                ids = [*clients.map(lambda name: store.create_customer(name, limit=LIMIT), names)]
            stored.write_text(json.dumps(ids))
        ids = json.loads(stored.read_text())
        return list(ids)

    async def _place(self, seed: int) -> None:
        connection, rng = Connection(self._running.port), random.Random()
        while True:
            line = {"sku": f"V{rng.randrange(PRODUCTS)}", "quantity": 1 + seed % 3}
            order = {"customerId": rng.choice(self._customers), "lines": [line]}
            answer = await connection.ask(PLACE, {"input": order})
            if not (answer.get("data") or {}).get("placeOrder"):
                print("refused:", json.dumps(answer)[:300], flush=True)
                await asyncio.sleep(1)

    async def settle(self) -> None:
        """Wait until each read model has everything."""
        deadline_s = time.monotonic() + SETTLED_S
        while set((await self.sample("catching up"))["lag_events"].values()) != {0}:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the read models lag after {SETTLED_S} s")
            await asyncio.sleep(1)

    async def sample(self, stage: str) -> Sample:
        """Look at everything once, and note it in the folder."""
        offsets = await self._installation.event_log.end_offsets(self._topics)
        connection = Connection(self._running.port)
        answer = await connection.ask(STATUS, {})
        connection.close()
        models = answer["data"]["readModels"]
        sample = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "clock_s": round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
            "run": self._running.pid,
            "stage": stage,
            "events": sum(offsets.values()),
            "lag_events": {each["name"]: each["lagEvents"] for each in models},
            "bound_ms": {each["name"]: each["maxStalenessMs"] for each in models},
            "resident_mb": {
                name: count // 1_000_000 for name, count in self._running.resident_bytes().items()
            },
        }
        with self._samples.open("a") as file:
            file.write(json.dumps(sample) + "\n")
        print(f"{stage}: {sample['events']} events, lag {sample['lag_events']}", flush=True)
        return sample


def summary(samples: list[Sample]) -> dict[str, Any]:
    """Return rates over all runs, and the memory of each process at its start, middle and peak."""
    samples = [each for each in samples if each["stage"] in _STAGES]
    spans = [(a, b) for a, b in itertools.pairwise(samples) if a["run"] == b["run"]]
    placing = [(a, b) for a, b in spans if b["stage"] == "placing"]
    took_s = sum(b["clock_s"] - a["clock_s"] for a, b in placing)
    events = sum(b["events"] - a["events"] for a, b in placing)
    catching_up = [b["clock_s"] - a["clock_s"] for a, b in spans if b["stage"] == "catching up"]
    bounds = {name: [s["bound_ms"][name] for s in samples] for name in samples[0]["bound_ms"]}
    known = {name: [ms for ms in each if ms is not None] for name, each in bounds.items()}
    memory = {
        name: [s["resident_mb"][name] for s in samples if name in s["resident_mb"]]
        for name in samples[-1]["resident_mb"]
    }
    return {
        "events": samples[-1]["events"],
        "events_a_second": round(events / took_s, 1),
        "placing_s": round(took_s),
        "catching_up_s": round(sum(catching_up), 1),
        "bound_ms_median": {name: statistics.median(each) for name, each in known.items()},
        "lag_events_max": {
            name: max(s["lag_events"][name] or 0 for s in samples) for name in bounds
        },
        "resident_mb_first_median_max": {
            name: [each[0], statistics.median(each), max(each)] for name, each in memory.items()
        },
    }


def installation_options(description: str | None) -> argparse.ArgumentParser:
    """Return the options of every benchmark on an installation that outlives it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--record", action="store_true")
    return parser


def storage_settings(*, engines: bool) -> dict[str, str]:
    """Return the settings of the storage: those of the engines in the environment, or none."""
    if not engines:
        return {}
    return {**{f"{name}_url": engine_url(name) for name in NAMES}, "namespace": "volume"}


def main() -> None:
    parser = installation_options(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    options = parser.parse_args()
    settings = storage_settings(engines=options.engines)
    volume = Volume(options.folder, settings)
    try:
        asyncio.run(volume.run(options.events, options.customers))
        verified = volume.verified()
    finally:
        volume.stop()
    print(verified)
    found = {**summary(volume.samples()), "verified_equal": verified.count(": equal")}
    print(json.dumps(found, indent=2))
    if options.record:
        storage = "engines" if options.engines else "embedded"
        record("volume", f"volume-{storage}", found)


if __name__ == "__main__":
    main()
