"""Several instances of a part share its work: nothing is spent twice, no update is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.end_to_end.harness import Running, Store, free_port_block, until
from tests.engines import engine_settings, engine_url, on_all_engines
from tests.faults.ledger import Ledger, Traffic
from tests.faults.round_robin import RoundRobin

SERVICES = ("customers", "inventory", "orders")
PROJECTOR = "projector.customer_orders.v1"
SAGA_STEPS = ("customers.credit", "inventory.stock", "orders.saga")
ORDERS = 20
START_S = 180.0
SETTLED_S = 90.0
FRESH_S = 20.0
# The log waits for a killed consumer's session to end before it hands out its partitions.
FRESH_AFTER_KILL_S = 40.0
ORDERS_A_SECOND = 8.0  # two cores keep up with these, so a bound says how fresh things are
FRESH_BOUND_MS = 2_000

pytestmark = [
    *on_all_engines(),
    pytest.mark.slow,
    pytest.mark.timeout(420),
]


class Instance:
    """One more process of a part, with the settings of a running installation."""

    def __init__(self, installation: Running, *arguments: str) -> None:
        self.port = free_port_block()
        self._log = installation.data_dir.parent / f"{'-'.join(arguments)}-{self.port}.log"
        command = [sys.executable, "-m", "slackwater.command_line", *arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), "--data-dir", str(installation.data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=installation.environment,
            )

    def end(self, number: signal.Signals) -> None:
        """Send the signal and wait for the end; nothing once it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            assert self._process.wait(SETTLED_S) in (0, -number), self._log.read_text()


@contextlib.contextmanager
def _instance(installation: Running, *arguments: str) -> Iterator[Instance]:
    instance = Instance(installation, *arguments)
    try:
        yield instance
    finally:
        instance.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def balancers() -> Iterator[dict[str, RoundRobin]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(RoundRobin().running()) for name in SERVICES}


@pytest.fixture(scope="module")
def installation(
    balancers: dict[str, RoundRobin], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    urls = {name: balancer.url for name, balancer in balancers.items()}
    settings = {**engine_settings(), "SLACKWATER_SERVICE_URLS": json.dumps(urls)}
    data_dir = tmp_path_factory.mktemp("scaled") / "data"
    installation = Running(data_dir, "--processes", settings=settings)
    try:
        for at, name in enumerate(SERVICES, start=1):
            balancers[name].servers.append(installation.port + at)
        yield installation.wait_ready(START_S)
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def doubled(installation: Running, balancers: dict[str, RoundRobin]) -> Iterator[Running]:
    """Two instances of each write service, both in use."""
    with contextlib.ExitStack() as stack:
        for at, name in enumerate(SERVICES, start=1):
            second = stack.enter_context(_instance(installation, "service", name))
            balancers[name].servers.append(second.port + at)
        for group in SAGA_STEPS:
            _share_the_work(installation, group, 2)
        yield installation
        assert len(balancers["orders"].taken) == 2, "no command went to the second instance"
        for balancer in balancers.values():
            balancer.servers.pop()


@pytest.mark.parametrize(
    ("limit", "stock", "approved"),
    [("100.00", 1_000, 10), ("100000.00", 7, 7)],
    ids=["one credit limit", "one stock"],
)
def test_two_instances_of_each_service_give_away_what_there_is_and_no_more(
    doubled: Running, limit: str, stock: int, approved: int
) -> None:
    store = doubled.store
    sku = f"SHARED-{stock}"
    store.add_product(sku, price="10.00", stock=stock)
    customer = store.create_customer(limit=limit)
    statuses = Counter(_order_at_once(doubled, customer, sku))
    assert statuses == {"APPROVED": approved, "REJECTED": ORDERS - approved}
    _equal(doubled)
    assert store.stock(sku) == stock - approved


def test_a_limit_and_a_stock_at_once_are_both_kept(doubled: Running) -> None:
    store = doubled.store
    store.add_product("SCARCE", price="10.00", stock=8)
    customer = store.create_customer(limit="100.00")
    statuses = Counter(_order_at_once(doubled, customer, "SCARCE"))
    assert statuses["APPROVED"] + statuses["REJECTED"] == ORDERS
    assert 1 <= statuses["APPROVED"] <= 8
    print(statuses)
    _equal(doubled)
    assert store.stock("SCARCE") == 8 - statuses["APPROVED"]
    reserved = store.customer(customer)["creditReserved"]["amount"]
    assert reserved == f"{10 * statuses['APPROVED']}.00"


def _order_at_once(installation: Running, customer: str, sku: str) -> list[str]:
    """Place all orders at the same moment, each from a client of its own; return what became."""
    with contextlib.ExitStack() as stack:
        stores = [
            stack.enter_context(contextlib.closing(Store(installation.port))) for _ in range(ORDERS)
        ]
        clients = stack.enter_context(ThreadPoolExecutor(ORDERS))
        placed = list(clients.map(lambda store: store.place_order(customer, sku), stores))
    ids = [payload["order"]["id"] for payload in placed]
    return [installation.store.decided(order_id, timeout_s=SETTLED_S)["status"] for order_id in ids]


def test_projectors_that_join_and_leave_lose_no_update(installation: Running) -> None:
    store, ledger = installation.store, Ledger()
    store.add_product("BOLT", stock=1_000_000)
    customers = [store.create_customer(f"C {n}", limit="1000000.00") for n in range(8)]
    traffic = Traffic(store, ledger, customers, "BOLT", 1, orders_a_second=ORDERS_A_SECOND)
    with contextlib.ExitStack() as stack, traffic:
        _fresh_again(store, "alone")
        second, third = (
            stack.enter_context(_instance(installation, "projector", "customer_orders"))
            for _ in range(2)
        )
        _share_the_work(installation, PROJECTOR, 3)
        _fresh_again(store, "two have joined")
        second.end(signal.SIGTERM)
        _share_the_work(installation, PROJECTOR, 2)
        _fresh_again(store, "one has left")
        third.end(signal.SIGKILL)
        _share_the_work(installation, PROJECTOR, 1)
        _fresh_again(store, "one was killed", within_s=FRESH_AFTER_KILL_S)
    _equal(installation)
    ledger.check(store)
    print(f"{len(ledger.acknowledged)} orders")


def _share_the_work(installation: Running, group: str, members: int) -> None:
    """Wait until the group has so many members, and each knows its share."""
    name = f"{installation.environment['SLACKWATER_NAMESPACE']}.{group}"
    until(lambda: asyncio.run(_group(name)), lambda found: found == ("Stable", members), SETTLED_S)


async def _group(name: str) -> tuple[str, int]:
    """Return the state of a consumer group and how many members it has."""
    admin = AIOKafkaAdminClient(bootstrap_servers=engine_url("kafka"))
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([name])
        ((_, _, state, _, _, members, *_),) = answer.groups
        return state, len(members)
    finally:
        await admin.close()


def _fresh_again(store: Store, why: str, within_s: float = FRESH_S) -> None:
    """Wait until the bound is small again, and say how long that took."""
    began_s = time.monotonic()
    until(lambda: _bound_ms(store), lambda bound_ms: bound_ms < FRESH_BOUND_MS, within_s)
    print(f"{why}: bound below {FRESH_BOUND_MS} ms after {time.monotonic() - began_s:.1f} s")


def _bound_ms(store: Store) -> int:
    answer = store.ask("{ customers(first: 1) { edges { node { name } } } }")
    facts: dict[str, Any] = answer.freshness["readModels"]["customer_orders"]
    bound_ms: int = facts["maxStalenessMs"]
    return bound_ms


def _equal(installation: Running) -> None:
    checked = until(installation.verify, lambda verified: verified.returncode == 0, SETTLED_S)
    assert checked.stdout.count(": equal") == 4, checked.stdout
