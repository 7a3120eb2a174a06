"""Measures what telling the freshness of every field costs: the same queries, FULL against OFF.

    python benchmarks/freshness_cost.py [--seconds 5] [--rounds 8] [--record]

One gateway on embedded storage answers 8 clients without a pause. Both kinds take turns in short
windows, each round in the other order, so that what else the machine does meets both alike; the
cost is the median over the rounds of the ratio within one round. The clients share the machine, so
reading a larger answer is part of what it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.client import Connection
from benchmarks.loop import CUSTOMER_WITH_20_ORDERS, rate, settled
from benchmarks.record import record
from tests.end_to_end.harness import Running, running

DETAILS = ("FULL", "OFF")
ORDERS = 20
QUERIES = {
    "customer_with_20_orders": CUSTOMER_WITH_20_ORDERS,
    "customer": "query ($id: ID!) { customer(id: $id) { name creditAvailable { amount } } }",
}


async def window(port: int, query: str, customer: str, detail: str, seconds: float) -> float:
    """Return the requests a second of clients that ask without a pause."""

    async def ask(connection: Connection) -> None:
        answer = await connection.ask(query, {"id": customer})
        if "errors" in answer:
            raise RuntimeError(f"no answer to measure: {answer['errors']}")

    return await rate(port, seconds, ask, {"freshness": {"detail": detail}})


async def response_bytes(port: int, query: str, customer: str, detail: str) -> tuple[int, int]:
    """Return how long one answer is, and how many sources its freshness names."""
    connection = Connection(port, {"freshness": {"detail": detail}})
    answer = await connection.ask(query, {"id": customer})
    connection.close()
    entries = answer.get("extensions", {}).get("freshness", {}).get("fields", [])
    return connection.bytes_received, len({source for e in entries for source in e["sources"]})


async def compared(
    port: int, query: str, customer: str, seconds: float, rounds: int
) -> Mapping[str, Any]:
    """Compare both kinds on one query."""
    rates: dict[str, list[float]] = {detail: [] for detail in DETAILS}
    for number in range(rounds):
        for detail in DETAILS if number % 2 else reversed(DETAILS):
            rates[detail].append(await window(port, query, customer, detail, seconds))
    costs = [1 - full / off for full, off in zip(rates["FULL"], rates["OFF"], strict=True)]
    full_bytes, sources = await response_bytes(port, query, customer, "FULL")
    off_bytes, _ = await response_bytes(port, query, customer, "OFF")
    return {
        "requests_a_second_median": {
            detail: round(statistics.median(each), 1) for detail, each in rates.items()
        },
        "cost_percent_median": round(100 * statistics.median(costs), 1),
        "cost_percent_by_round": [round(100 * cost, 1) for cost in costs],
        "bytes": {"FULL": full_bytes, "OFF": off_bytes},
        "bytes_a_source": round((full_bytes - off_bytes) / sources),
        "sources": sources,
    }


async def measure(installation: Running, seconds: float, rounds: int) -> dict[str, Any]:
    store = installation.store
    store.add_product("BENCH", stock=10_000)
    customer = store.create_customer("Bench", limit="1000000.00")
    for _ in range(ORDERS):
        store.place_order(customer, "BENCH")
    await settled(installation.port)
    found = {}
    for name, query in QUERIES.items():
        found[name] = await compared(installation.port, query, customer, seconds, rounds)
        print(name, json.dumps(found[name]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each window")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        running(Path(scratch) / "data", "--processes") as installation,
    ):
        found = asyncio.run(measure(installation, options.seconds, options.rounds))
    if options.record:
        record("freshness_cost", "freshness-cost", found)


if __name__ == "__main__":
    main()
