"""Laws of credit's saga steps, however the orders' events are repeated and reordered."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events.orders import OrderCancelled, OrderRejected, OrderShipped, RejectionReason
from slackwater.events.event import EventBody, Recorded
from tests.unit.given_events import euros, line, placed, stream
from tests.unit.service_in_memory import ServiceInMemory, in_memory
from write_services.customers.service import service

CLOSINGS: list[EventBody] = [
    OrderRejected(reason=RejectionReason.TIMED_OUT),
    OrderCancelled(reason=None),
    OrderShipped(),
]


class Given:
    """A customer with a limit of 1,000, and one whose events orders has but nobody else."""

    def __init__(self, customers: ServiceInMemory) -> None:
        answer = customers.command(
            "create-customer",
            name="Ada",
            email="ada@example.com",
            credit_limit={"minor": 1_000, "currency": "EUR"},
        )
        self.customer_id = answer.customer.id

    def order(self, n: int, minor: int, closing: EventBody | None) -> list[Recorded[Any]]:
        customer_id = "nobody" if n % 5 == 4 else self.customer_id
        opening = placed(line("tea", 1, euros(minor)), customer_id=customer_id)
        bodies = [opening] if closing is None else [opening, closing]
        return stream(f"order-{n}", *bodies, key=customer_id)


orders = st.lists(
    st.tuples(st.integers(0, 700), st.sampled_from([None, *CLOSINGS])), min_size=1, max_size=8
)


@settings(max_examples=60)
@given(orders=orders, random=st.randoms(use_true_random=False))
def test_repeated_and_reordered_events_reserve_once_and_release_all(
    orders: list[tuple[int, EventBody | None]], random: Any
) -> None:
    with in_memory(service) as customers:
        store = Given(customers)
        histories = [store.order(n, *order) for n, order in enumerate(orders)]
        deliveries = [event for history in histories for event in history * random.randint(1, 3)]
        random.shuffle(deliveries)
        for event in deliveries:
            customers.hear(event)
            assert customers.violations() == []
        still_held = sum(
            recorded.body.amount.minor
            for recorded in customers.published()
            if recorded.event.type == "customers.credit-reserved"
            and len(histories[int(recorded.body.order_id.removeprefix("order-"))]) == 1
        )
        reserved = customers.facts("customer")[store.customer_id].data["credit_reserved"]
        assert reserved["minor"] == still_held


@settings(max_examples=30)
@given(closing=st.sampled_from(CLOSINGS), repeats=st.integers(1, 3))
def test_an_order_closed_before_it_was_heard_of_reserves_nothing(
    closing: EventBody, repeats: int
) -> None:
    with in_memory(service) as customers:
        opened, closed = Given(customers).order(0, 10, closing)
        for event in [closed] * repeats + [opened] * repeats + [closed]:
            customers.hear(event)
        assert [recorded.event.type for recorded in customers.published()] == [
            "customers.customer-created"
        ]


def test_an_unknown_customers_order_is_refused_once() -> None:
    with in_memory(service) as customers:
        [opened] = Given(customers).order(4, 10, None)
        customers.hear(opened)
        customers.hear(opened)
        refused = customers.published()[1:]
        assert [(one.event.aggregate_type, one.event.version) for one in refused] == [
            ("credit_refusal", 1)
        ]
        assert refused[0].event.partition_key == "nobody"
