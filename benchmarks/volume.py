"""Sends many events through the whole loop, from outside, and watches rates and memory.

    python benchmarks/volume.py --events 1000000 --folder /var/tmp/volume [--engines] [--record]

Clients place orders through the gateway without a pause until the log holds so many events; then
they stop, the read models catch up, and `slackwater verify` compares them with the services. What
was seen is appended to `samples.jsonl` in the folder as it is seen; the same command goes on where
an earlier one was stopped. `--engines` uses those that the environment names, as `make engines`
prints it; else everything is embedded. Each part is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Mapping
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
PRODUCTS = 50
SAMPLE_S = 10.0
READY_S = 180.0
SETTLED_S = 1_800.0

Sample = dict[str, Any]


class Volume:
    """One installation in a folder that outlives it, so that a run can be stopped and go on."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._samples = folder / "samples.jsonl"
        self._running = Running(folder / "data", "--processes", settings=settings)
        topics = Installation(load_settings()).manifest.topics()
        self._topics = [topic.name for topic in topics if topic != WATERMARKS]

    async def run(self, events_wanted: int, settings: Mapping[str, Any]) -> None:
        self._running.wait_ready(READY_S)
        self._log = Installation(
            load_settings({**settings, "data_dir": self._running.data_dir})
        ).event_log
        self._customers = await asyncio.to_thread(self._filled)
        watcher = asyncio.create_task(self._watch(events_wanted))
        clients = [asyncio.create_task(self._place(n)) for n in range(CLIENTS)]
        done, _ = await asyncio.wait([watcher, *clients], return_when=asyncio.FIRST_COMPLETED)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for task in done:
            task.result()
        await self._settle()

    def stop(self) -> None:
        self._running.stop()

    def verified(self) -> str:
        return self._running.verify().stdout

    def samples(self) -> list[Sample]:
        return [json.loads(line) for line in self._samples.read_text().splitlines()]

    def _filled(self) -> list[str]:
        """Return customers who can afford anything; the first run creates them, and products."""
        stored = self._samples.with_name("customers.json")
        if not stored.exists():
            store = self._running.store
            for number in range(PRODUCTS):
                store.add_product(f"V{number}", stock=100_000_000, wait=number == PRODUCTS - 1)
            ids = [store.create_customer(f"V {n}", limit="100000000.00") for n in range(CUSTOMERS)]
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

    async def _watch(self, events_wanted: int) -> None:
        while (await self._sample("placing"))["events"] < events_wanted:  # noqa: ASYNC110
            await asyncio.sleep(SAMPLE_S)

    async def _settle(self) -> None:
        """Wait until each read model has everything."""
        deadline_s = time.monotonic() + SETTLED_S
        while any((await self._sample("catching up"))["lag_events"].values()):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the read models lag after {SETTLED_S} s")
            await asyncio.sleep(1)

    async def _sample(self, stage: str) -> Sample:
        offsets = await self._log.end_offsets(self._topics)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    urls = {f"{name}_url": engine_url(name) for name in NAMES} if options.engines else {}
    settings = {**urls, "namespace": "volume"} if options.engines else {}
    environment = {f"SLACKWATER_{name.upper()}": value for name, value in settings.items()}
    volume = Volume(options.folder, environment)
    try:
        asyncio.run(volume.run(options.events, settings))
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
