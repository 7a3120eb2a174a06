"""Measures the processor time that an idle loop takes, and what an order takes, by part.

    python benchmarks/cpu.py [--seconds 20] [--clients 1] [--engines] [--record]

Each part is a process of its own. First nobody asks anything; then clients place orders and read
each with its token, again and again. Processor time is steadier than rates on a machine that has
other work. That of the engines is left out: whoever else uses them is in it, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.client import Connection
from benchmarks.record import record
from tests.end_to_end.harness import Running, running
from tests.engines import engine_settings

PLACE = (
    "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) "
    "{ ... on PlaceOrderSuccess { consistencyToken } } }"
)
READ = (
    "query ($id: ID!, $tokens: [String!]) @readAfter(tokens: $tokens) "
    "{ customer(id: $id) { orders(first: 30) { edges { node { id } } } } }"
)
READY_S = 180.0
STARTING_S = 5.0
CLOCK_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def spent_ms(installation: Running) -> dict[str, float]:
    """Return the processor time that each part has taken so far."""
    return {name: _spent_ms(pid) for name, pid in installation.part_pids().items()}


def _spent_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000 / CLOCK_TICKS_A_SECOND


def taken(before: Mapping[str, float], after: Mapping[str, float], by: float) -> dict[str, float]:
    """Return what was taken in between, divided by a count or a time; the most first."""
    parts = {name: round((after[name] - spent) / by, 1) for name, spent in before.items()}
    total = round((sum(after.values()) - sum(before.values())) / by, 1)
    return {"all": total, **dict(sorted(parts.items(), key=lambda part: -part[1]))}


async def orders_placed(installation: Running, clients: int, seconds: float) -> tuple[int, int]:
    """Place orders and read each with its token; return how many, and how many waits were vain."""
    store, port = installation.store, installation.port
    customers = [store.create_customer(f"C{n}", limit="100000000.00") for n in range(clients)]
    end_s = time.monotonic() + seconds

    async def client(customer: str) -> tuple[int, int]:
        connection, placed, refused = Connection(port), 0, 0
        order = {"customerId": customer, "lines": [{"sku": "CPU", "quantity": 1}]}
        while time.monotonic() < end_s:
            answer = await connection.ask(PLACE, {"input": order})
            placed += 1
            tokens = [answer["data"]["placeOrder"]["consistencyToken"]]
            while "errors" in await connection.ask(READ, {"id": customer, "tokens": tokens}):
                refused += 1
        connection.close()
        return placed, refused

    counts = await asyncio.gather(*(client(customer) for customer in customers))
    return sum(placed for placed, _ in counts), sum(refused for _, refused in counts)


def measured(installation: Running, clients: int, seconds: float) -> dict[str, Any]:
    time.sleep(STARTING_S)  # what starting costs is over
    before = spent_ms(installation)
    time.sleep(seconds)
    idle = taken(before, spent_ms(installation), by=seconds)
    print("idle, ms a second", idle, flush=True)
    installation.store.add_product("CPU", stock=10_000_000)
    before = spent_ms(installation)
    placed, refused = asyncio.run(orders_placed(installation, clients, seconds))
    loaded = taken(before, spent_ms(installation), by=placed)
    print("ms an order", loaded, flush=True)
    return {
        "idle_ms_a_second": idle,
        "orders_a_second": round(placed / seconds, 1),
        "stale_reads": refused,
        "ms_an_order": loaded,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    settings = engine_settings() if options.engines else {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        running(
            Path(scratch) / "data", "--processes", settings=settings, ready_s=READY_S
        ) as installation,
    ):
        found = measured(installation, options.clients, options.seconds)
    print(json.dumps(found, indent=2))
    if options.record:
        kind = "engines" if options.engines else "embedded"
        record("cpu", f"cpu-{kind}-{options.clients}", found)


if __name__ == "__main__":
    main()
