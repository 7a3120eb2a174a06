"""The saga of all three services: however events travel, nothing is left dangling.

Every event reaches every consumer at least once, in any order, and often twice; consumers have no
inbox here. Once all is drained, each order is decided and holds what its status says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from projectors.expectations import shared_invariants
from slackwater.events.event import Recorded
from slackwater.service.commands import Refusal
from slackwater.verification import Facts
from tests.unit.given_events import NOW
from tests.unit.service_in_memory import ServiceInMemory, in_memory
from write_services.customers.service import service as customers_service
from write_services.inventory.service import service as inventory_service
from write_services.orders.service import service as orders_service

STOCK = {"tea": 8, "milk": 4}
LIMITS = (2_000, 500)
LONG_AFTER = NOW + timedelta(minutes=1)


class World:
    """Three services and the events that travel between them, drawn at random."""

    def __init__(self, stack: ExitStack, random: Random) -> None:
        self.random = random
        self.customers = stack.enter_context(in_memory(customers_service))
        self.inventory = stack.enter_context(in_memory(inventory_service))
        self.orders = stack.enter_context(in_memory(orders_service))
        self.services = (self.customers, self.inventory, self.orders)
        self._seen = dict.fromkeys(self.services, 0)
        self._travelling: list[tuple[ServiceInMemory, Recorded[Any]]] = []

    def prepare(self) -> list[str]:
        """Add the products and customers; return the customers' ids, with one that is unknown."""
        for sku, stock in STOCK.items():
            self.inventory.command("add-product", sku=sku, name=sku, price=euros(100), stock=stock)
        answers = [
            self.customers.command(
                "create-customer", name="Ada", email="a@example.com", credit_limit=euros(limit)
            )
            for limit in LIMITS
        ]
        self.drain()
        return [*(answer.customer.id for answer in answers), "nobody"]

    def place(self, customer_id: str) -> str:
        lines = [
            {"sku": self.random.choice(list(STOCK)), "quantity": self.random.randint(1, 3)}
            for _ in range(self.random.randint(1, 3))
        ]
        answer = self.orders.command("place-order", customer_id=customer_id, lines=lines)
        order_id: str = answer.order.id
        return order_id

    def interfere(self, order_id: str) -> None:
        """Cancel, ship, or let the deadline pass; most of it is refused at most times."""
        command = self.random.choice(["cancel-order", "ship-order", "deadline"])
        if command == "deadline":
            self.orders.work(LONG_AFTER)
            self.orders.now = NOW
        else:
            answer = self.orders.command(command, order_id=order_id)
            assert not isinstance(answer, Refusal) or answer.code.startswith("ORDER_NOT_")

    def deliver_one(self) -> bool:
        """Deliver any of the events on their way; it may well be delivered again."""
        self._send()
        if not self._travelling:
            return False
        at = self.random.randrange(len(self._travelling))
        service, recorded = self._travelling[at]
        if self.random.random() < 0.7:
            del self._travelling[at]
        service.hear(recorded)
        return True

    def drain(self) -> None:
        while self.deliver_one():
            pass

    def violations(self) -> list[str]:
        return [violation for service in self.services for violation in service.violations()]

    def facts(self) -> Facts:
        return {
            each.service.name: list(each.service.facts(each.connection)) for each in self.services
        }

    def _send(self) -> None:
        for service in self.services:
            published = service.published()
            for recorded in published[self._seen[service] :]:
                self._travelling += [(receiver, recorded) for receiver in self.services]
            self._seen[service] = len(published)


@settings(max_examples=25)
@given(random=st.randoms(use_true_random=False), order_count=st.integers(1, 5))
def test_a_drained_store_has_nothing_dangling(random: Random, order_count: int) -> None:
    with ExitStack() as stack:
        world = World(stack, random)
        customer_ids = world.prepare()
        order_ids: list[str] = []
        for _ in range(order_count):
            order_ids.append(world.place(random.choice(customer_ids)))
            for _ in range(random.randint(0, 8)):
                world.deliver_one()
                assert world.violations() == []
            if random.random() < 0.5:
                world.interfere(random.choice(order_ids))
        world.drain()
        world.orders.work(LONG_AFTER)
        world.drain()
        assert world.violations() == []
        assert_nothing_dangles(world)


def assert_nothing_dangles(world: World) -> None:
    for invariant in shared_invariants:
        assert list(invariant.violations(world.facts())) == []
    documents = [fact.data for fact in world.orders.facts("order").values()]
    assert all(document["status"] != "PENDING" for document in documents)
    for fact in world.customers.facts("customer").values():
        held = sum(
            document["total"]["minor"]
            for document in documents
            if document["customer_id"] == fact.id and document["status"] == "APPROVED"
        )
        assert fact.data["credit_reserved"]["minor"] == held
    taken = Counter(dict(quantities_taken(documents)))
    for sku, fact in world.inventory.facts("product").items():
        assert fact.data["stock_available"] == STOCK[sku] - taken[sku]


def quantities_taken(documents: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for sku in STOCK:
        yield (
            sku,
            sum(
                line["quantity"]
                for document in documents
                if document["status"] in {"APPROVED", "SHIPPED"}
                for line in document["lines"]
                if line["sku"] == sku
            ),
        )


def euros(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}
