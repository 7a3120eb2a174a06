"""An outside ledger: what a client asked for, and what it was told, kept where no crash reaches."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.end_to_end.harness import Store

_CLIENTS = 4


@dataclass
class Ledger:
    """Orders by their note, which each is placed with once: attempted first, acknowledged after."""

    attempted: set[str] = field(default_factory=set)
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Order ids by note."""
    decided_by_client: dict[str, str] = field(default_factory=dict)
    """CANCELLED or SHIPPED by order id, as acknowledged."""

    def check(self, store: Store) -> None:
        """Fail unless each acknowledged order is found once and each other at most once."""
        found = Counter(note for note, _ in _all_orders(store) if note in self.attempted)
        doubled = [note for note, count in found.items() if count > 1]
        lost = [note for note in self.acknowledged if note not in found]
        assert not doubled, f"placed more than once: {doubled}"
        assert not lost, f"acknowledged and lost: {lost}"
        statuses = {order["id"]: order["status"] for _, order in _all_orders(store)}
        wrong = {
            order_id: (status, statuses[order_id])
            for order_id, status in self.decided_by_client.items()
            if statuses[order_id] != status
        }
        assert not wrong, f"acknowledged and undone: {wrong}"


class Traffic:
    """A few clients that place, cancel and ship until stopped; failures are expected.

    Every other failed order is repeated with its idempotency key, as a careful client would.
    Clients do not wait for sagas: without a rate they may place more than sagas can decide.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        customers: list[str],
        sku: str,
        seed: int,
        *,
        orders_a_second: float = math.inf,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._customers = customers
        self._sku = sku
        self._seed = seed
        self._stopping = threading.Event()
        self._pause_s = _CLIENTS / orders_a_second
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(_CLIENTS)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        rng = random.Random(f"{self._seed}.{number}")
        store = Store(int(self._store.url.rsplit(":", 1)[1]))
        count = 0
        while not self._stopping.is_set():
            count += 1
            note = f"{self._seed}.{number}.{count}"
            customer, attempts = rng.choice(self._customers), rng.choice((1, 20))
            while attempts and not self._stopping.is_set():
                attempts = 0 if self._has_placed(store, rng, customer, note) else attempts - 1
            self._stopping.wait(rng.uniform(0, 2 * self._pause_s))
        store.close()

    def _has_placed(self, store: Store, rng: random.Random, customer: str, note: str) -> bool:
        try:
            self._place(store, rng, customer, note)
        except (httpx2.HTTPError, AssertionError, KeyError, ValueError):
            self._stopping.wait(0.02)
            return False
        return True

    def _place(self, store: Store, rng: random.Random, customer: str, note: str) -> None:
        self._ledger.attempted.add(note)
        fields: dict[str, Any] = {
            "customerId": customer,
            "lines": [{"sku": self._sku, "quantity": 1}],
            "note": note,
        }
        placed = store.mutate("placeOrder", fields, key=note)
        order_id = placed["order"]["id"]
        self._ledger.acknowledged[note] = order_id
        wish = rng.random()
        if wish < 0.2:
            self._decide(store, "cancelOrder", order_id)
        elif wish < 0.4:
            self._decide(store, "shipOrder", order_id)

    def _decide(self, store: Store, mutation: str, order_id: str) -> None:
        payload = store.mutate(mutation, {"orderId": order_id}, key=f"{mutation} {order_id}")
        if "order" in payload:
            self._ledger.decided_by_client[order_id] = payload["order"]["status"]


def _all_orders(store: Store) -> list[tuple[str, dict[str, Any]]]:
    orders: list[tuple[str, dict[str, Any]]] = []
    after = None
    while True:
        page = store.ask(
            "query ($after: String) { orders(first: 100, after: $after) "
            "{ edges { node { id status note } } pageInfo { hasNextPage endCursor } } }",
            {"after": after},
        ).data["orders"]
        orders.extend((edge["node"]["note"], edge["node"]) for edge in page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            return orders
        after = page["pageInfo"]["endCursor"]
