"""Laws of stock's saga steps, however the orders' events are repeated and reordered."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events.inventory import (
    ProductReleased,
    ProductReserved,
    StockRefused,
    StockReleased,
    StockReserved,
    StockShipped,
)
from contracts.events.orders import OrderCancelled, OrderRejected, OrderShipped, RejectionReason
from slackwater.events.event import EventBody, Recorded
from tests.unit.given_events import line, placed, stream
from tests.unit.service_in_memory import ServiceInMemory, in_memory
from write_services.inventory.service import service

CLOSINGS: list[EventBody] = [
    OrderRejected(reason=RejectionReason.TIMED_OUT),
    OrderCancelled(reason=None),
    OrderShipped(),
]
STOCK = {"tea": 7, "milk": 5}

orders = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.sampled_from(["tea", "milk"]), st.integers(1, 4)), min_size=1, max_size=3
        ),
        st.sampled_from([None, *CLOSINGS]),
    ),
    min_size=1,
    max_size=7,
)


def add_products(inventory: ServiceInMemory) -> None:
    for sku, stock in STOCK.items():
        price = {"minor": 100, "currency": "EUR"}
        inventory.command("add-product", sku=sku, name=sku, price=price, stock=stock)


def order(n: int, wanted: list[tuple[str, int]], closing: EventBody | None) -> list[Recorded[Any]]:
    opening = placed(*(line(sku, quantity) for sku, quantity in wanted))
    return stream(f"order-{n}", opening, *([] if closing is None else [closing]))


def gone(inventory: ServiceInMemory) -> Counter[str]:
    """Return what was reserved and not released, as the events tell it."""
    balance: Counter[str] = Counter()
    for recorded in inventory.published():
        if isinstance(recorded.body, ProductReserved):
            balance[recorded.event.aggregate_id] += recorded.body.quantity
        elif isinstance(recorded.body, ProductReleased):
            balance[recorded.event.aggregate_id] -= recorded.body.quantity
    return balance


@settings(max_examples=60)
@given(orders=orders, random=st.randoms(use_true_random=False))
def test_repeated_and_reordered_events_reserve_once_and_leave_nothing_behind(
    orders: list[tuple[list[tuple[str, int]], EventBody | None]], random: Any
) -> None:
    with in_memory(service) as inventory:
        add_products(inventory)
        histories = [order(n, *one) for n, one in enumerate(orders)]
        deliveries = [event for history in histories for event in history * random.randint(1, 3)]
        random.shuffle(deliveries)
        for event in deliveries:
            inventory.hear(event)
            assert inventory.violations() == []
        missing = gone(inventory)
        for sku, fact in inventory.facts("product").items():
            assert fact.data["stock_available"] == STOCK[sku] - missing[sku]
        for history in histories:
            assert_settled(inventory, history)


def assert_settled(inventory: ServiceInMemory, history: list[Recorded[Any]]) -> None:
    answers = [
        type(recorded.body)
        for recorded in inventory.published()
        if recorded.event.aggregate_id == history[0].event.aggregate_id
    ]
    if len(history) == 1:
        assert answers in ([StockReserved], [StockRefused])
    elif isinstance(history[1].body, OrderShipped):
        assert answers in ([], [StockRefused], [StockReserved, StockShipped])
    else:
        assert answers in ([], [StockRefused], [StockReserved, StockReleased])


def test_a_closed_order_that_is_placed_late_reserves_nothing() -> None:
    with in_memory(service) as inventory:
        add_products(inventory)
        opened, closed = order(0, [("tea", 1)], OrderCancelled(reason=None))
        for event in (closed, closed, opened, opened, closed):
            inventory.hear(event)
        assert gone(inventory) == Counter()
        assert inventory.bodies()[2:] == []


def test_lines_of_one_sku_are_one_event() -> None:
    with in_memory(service) as inventory:
        add_products(inventory)
        inventory.hear(order(0, [("tea", 2), ("milk", 1), ("tea", 1)], None)[0])
        assert inventory.bodies()[2:] == [
            StockReserved(),
            ProductReserved(order_id="order-0", quantity=3, stock_available=4),
            ProductReserved(order_id="order-0", quantity=1, stock_available=4),
        ]


def test_events_are_keyed_so_that_their_readers_find_them() -> None:
    with in_memory(service) as inventory:
        add_products(inventory)
        inventory.hear(order(0, [("tea", 1)], None)[0])
        reserved, product_reserved = inventory.published()[2:]
        assert (reserved.event.aggregate_id, reserved.event.partition_key) == (
            "order-0",
            "customer-1",
        )
        assert product_reserved.event.partition_key == "tea"
