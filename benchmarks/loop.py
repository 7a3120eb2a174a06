"""Measures the whole loop on embedded storage, from outside, and records what it found.

    python benchmarks/loop.py [--seconds 10] [--rate 100] [--processes] [--record]

Figures are printed as they come; `--record` writes them to benchmarks/results/. They report and
never fail: compare runs of one machine, made one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.client import PLACE, Connection
from benchmarks.record import record
from contracts.documents.customers import ORDER_LEDGER_COLLECTION
from contracts.documents.order_search import ORDER_SEARCH_INDEX
from slackwater.installation import Installation
from slackwater.parts.projector import run_projector
from slackwater.read_models.documents import UnknownCollectionError
from slackwater.read_models.progress import ModelVersion
from slackwater.read_models.search import UnknownIndexError
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.settings import load_settings
from slackwater.testing.doorbell import LocalDoorbell
from tests.end_to_end.harness import Running

CUSTOMER_WITH_20_ORDERS = (
    "query ($id: ID!) { customer(id: $id) { name creditAvailable { amount } orders(first: 20) "
    "{ edges { node { id status placedAt total { amount currency } "
    "lines { sku productName quantity } } } } } }"
)
LEDGER = ModelVersion("customer_orders").stored_name(ORDER_LEDGER_COLLECTION.name)
INDEX = ModelVersion("order_search").stored_name(ORDER_SEARCH_INDEX.name)
CLIENTS = 8
LOOK_S = 0.002


def percentiles(values_ms: list[float]) -> dict[str, float]:
    ordered = sorted(values_ms)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99) - 1], 1),
        "samples": len(ordered),
    }


async def rate(
    port: int,
    seconds: float,
    ask: Callable[[Connection], Awaitable[Any]],
    extensions: Mapping[str, Any] | None = None,
) -> float:
    """Return how often a second `ask` is answered by clients that ask without a pause."""
    end_s = time.monotonic() + seconds

    async def client() -> int:
        connection, count = Connection(port, extensions), 0
        while time.monotonic() < end_s:
            await ask(connection)
            count += 1
        connection.close()
        return count

    return round(sum(await asyncio.gather(*(client() for _ in range(CLIENTS)))) / seconds, 1)


async def visibility(
    port: int, data_dir: Path, place: Any, seconds: float, orders_a_second: float
) -> dict[str, Any]:
    """Place orders at a steady rate; look into the stores for when each of some appears."""
    documents = SqliteDocumentStore(data_dir / "documents.sqlite", LocalDoorbell())
    search = SqliteSearchIndex(data_dir / "search.sqlite")
    in_documents: list[float] = []
    in_search: list[float] = []

    async def seen(look: Callable[[], Awaitable[Any]], found: list[float], since_s: float) -> None:
        deadline_s = since_s + 30
        while not await is_there(look) and time.monotonic() < deadline_s:  # noqa: ASYNC110 - from outside
            await asyncio.sleep(LOOK_S)
        found.append((time.monotonic() - since_s) * 1_000)

    async def is_there(look: Callable[[], Awaitable[Any]]) -> bool:
        try:
            return bool(await look())
        except (UnknownCollectionError, UnknownIndexError):  # no projector has come to make it yet
            return False

    async def one(connection: Connection, *, watched: bool) -> None:
        answer = await place(connection)
        since_s = time.monotonic()  # the commit was before the answer
        if not watched:
            return
        order_id = _key(answer["data"]["placeOrder"]["order"]["id"])
        hit = f"ORDER:{order_id}"
        await asyncio.gather(
            seen(
                lambda: documents.get(LEDGER, [order_id]),
                in_documents,
                since_s,
            ),
            seen(lambda: search.get(INDEX, [hit]), in_search, since_s),
        )

    connections = [Connection(port) for _ in range(50)]
    began_s, tasks = time.monotonic(), []
    for number in range(int(seconds * orders_a_second)):
        await asyncio.sleep(max(0.0, began_s + number / orders_a_second - time.monotonic()))
        free = connections.pop() if connections else Connection(port)

        async def run(connection: Connection = free, number: int = number) -> None:
            await one(connection, watched=number % 10 == 0)
            connections.append(connection)

        tasks.append(asyncio.create_task(run()))
    await asyncio.gather(*tasks)
    took_s = time.monotonic() - began_s
    for connection in connections:
        connection.close()
    await documents.close()
    await search.close()
    return {
        "placed_a_second": round(len(tasks) / took_s, 1),
        "commit_to_customer_orders": percentiles(in_documents),
        "commit_to_search": percentiles(in_search),
    }


async def settled(port: int) -> None:
    """Wait until no read model lags, so that queries are measured alone."""
    connection = Connection(port)
    while True:
        answer = await connection.ask("{ readModels { lagEvents } }", {})
        if not any(status["lagEvents"] for status in answer["data"]["readModels"]):
            return connection.close()
        await asyncio.sleep(0.2)


async def projecting(data_dir: Path, name: str) -> dict[str, Any]:
    """Fold the whole log again into an empty store."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "log").symlink_to(data_dir / "log")
        installation = Installation(load_settings({"data_dir": Path(scratch)}))
        wanted = await installation.event_log.end_offsets(
            installation.manifest.projection(name).read_model.all_topics
        )
        began_s = time.monotonic()
        projector = asyncio.create_task(run_projector(installation, name))
        applied = 0
        while applied < sum(wanted.values()):
            await asyncio.sleep(0.05)
            progress = await installation.documents.progress.load()
            applied = sum(sum(entry.positions.values()) for entry in progress)
        took_s = time.monotonic() - began_s
        projector.cancel()
        await asyncio.gather(projector, return_exceptions=True)
        await installation.close()
    return {"events": applied, "events_a_second": round(applied / took_s, 1)}


def _key(global_id: str) -> str:
    import base64

    return base64.b64decode(global_id).decode().partition(":")[2]


async def measure(installation: Running, seconds: float, orders_a_second: float) -> dict[str, Any]:
    store, port = installation.store, installation.port
    store.add_product("BENCH", stock=10_000_000)
    customers = [store.create_customer(f"Bench {n}", limit="100000000.00") for n in range(20)]
    turn = iter(range(10**9))

    async def place(connection: Connection) -> dict[str, Any]:
        customer = customers[next(turn) % len(customers)]
        lines = [{"sku": "BENCH", "quantity": 1}]
        return await connection.ask(PLACE, {"input": {"customerId": customer, "lines": lines}})

    results: dict[str, Any] = {}
    results["visibility"] = await visibility(
        port, installation.data_dir, place, seconds, orders_a_second
    )
    print("visibility", results["visibility"], flush=True)
    await settled(port)
    results["mutations_a_second"] = await rate(port, seconds, place)
    print("mutations/s", results["mutations_a_second"], flush=True)
    await settled(port)
    results["customer_with_20_orders_a_second"] = await rate(
        port, seconds, lambda c: c.ask(CUSTOMER_WITH_20_ORDERS, {"id": customers[0]})
    )
    print("queries/s", results["customer_with_20_orders_a_second"], flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=100.0, help="orders a second")
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data_dir = Path(scratch) / "data"
        began_s = time.monotonic()
        installation = Running(data_dir, *(["--processes"] if options.processes else []))
        installation.wait_ready()
        results: dict[str, Any] = {"start_s": round(time.monotonic() - began_s, 1)}
        print("start", results["start_s"], "s", flush=True)
        try:
            results |= asyncio.run(measure(installation, options.seconds, options.rate))
        finally:
            installation.stop()
        for name in ("customer_orders", "order_search"):
            results[f"projecting_{name}"] = asyncio.run(projecting(data_dir, name))
            print("projecting", name, results[f"projecting_{name}"], flush=True)
    if options.record:
        mode = "processes" if options.processes else "one-process"
        record("loop", f"loop-{mode}-{options.rate:g}", results)


if __name__ == "__main__":
    main()
