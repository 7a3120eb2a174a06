"""Laws of folding: documents are the same however events are batched, repeated or interleaved."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents.customers import CUSTOMERS_COLLECTION, RECENT_ORDERS_MAX
from contracts.events import event_types
from contracts.events.customers import CreditReserved, CustomerCreated
from contracts.events.orders import (
    CreditAgreed,
    OrderApproved,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    OrderRejected,
    OrderShipped,
    RejectionReason,
)
from contracts.money import Money
from projectors.customer_orders import projection
from slackwater.events.event import Cause, Event, EventBody
from slackwater.read_models.documents import Row
from slackwater.read_models.fold import MissingVersionError, fold, refs_of
from slackwater.read_models.projection import Ref, Rows

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDINGS: list[list[EventBody]] = [
    [],
    [CreditAgreed(), OrderApproved()],
    [CreditAgreed(), OrderApproved(), OrderShipped()],
    [OrderRejected(reason=RejectionReason.OUT_OF_STOCK)],
    [OrderCancelled(reason=None)],
]


def _eur(minor: int) -> Money:
    return Money(minor=minor, currency="EUR")


def _event(body: EventBody, aggregate_id: str, version: int, second: int) -> Event:
    event_type = event_types.of_body(type(body))
    return Event(
        id=f"{aggregate_id}.{version}",
        source="test",
        topic=event_type.topic.name,
        type=event_type.name,
        schema_version=1,
        aggregate_type=event_type.aggregate_type,
        aggregate_id=aggregate_id,
        version=version,
        partition_key="c1",
        time=START + timedelta(seconds=second),
        data=msgspec.json.encode(body),
        cause=Cause(correlation_id="x"),
    )


def _order(number: int, ending: list[EventBody]) -> list[Event]:
    total = _eur(100 + number)
    line = OrderLine(sku="s", product_name="S", quantity=1, unit_price=total, total=total)
    placed = OrderPlaced(
        customer_id="c1", lines=[line], total=total, note=None, deadline=START + timedelta(days=1)
    )
    bodies = [placed, *ending]
    return [_event(body, f"o{number:03}", v, number) for v, body in enumerate(bodies, start=1)]


def _customer() -> list[Event]:
    created = CustomerCreated(name="Ada", email="a@b.example", credit_limit=_eur(1_000))
    reserved = CreditReserved(order_id="o000", amount=_eur(100), credit_reserved=_eur(100))
    return [_event(created, "c1", 1, 0), _event(reserved, "c1", 2, 1)]


class Store:
    """Rows between batches, as a store would keep them."""

    def __init__(self) -> None:
        self.rows: dict[Ref, Row] = {}

    def apply(self, events: Sequence[Event]) -> None:
        wanted = refs_of(projection, events)
        loaded = {ref: self.rows[ref] for ref in wanted if ref in self.rows}
        rows = Rows(copy.deepcopy(loaded))  # a store hands out copies of its own
        fold(projection, rows, events)
        for write in rows.writes():
            self.rows[Ref(write.collection, write.id)] = Row(
                id=write.id,
                version=write.version,
                revision=write.expected_revision + 1,
                document=copy.deepcopy(write.document),
            )

    @property
    def customer(self) -> Row:
        return self.rows[Ref(CUSTOMERS_COLLECTION.name, "c1")]


def _interleaved(streams: list[list[Event]], rng: random.Random) -> list[Event]:
    """Mix streams, keeping the order inside each."""
    waiting = [list(stream) for stream in streams if stream]
    mixed = []
    while waiting:
        stream = rng.choice(waiting)
        mixed.append(stream.pop(0))
        waiting = [left for left in waiting if left]
    return mixed


@given(
    endings=st.lists(st.sampled_from(ENDINGS), max_size=RECENT_ORDERS_MAX + 8),
    seed=st.integers(0, 2**32),
)
def test_batching_repeating_and_interleaving_change_nothing(
    endings: list[list[EventBody]], seed: int
) -> None:
    rng = random.Random(seed)
    streams = [_customer(), *(_order(n, ending) for n, ending in enumerate(endings))]
    plain = Store()
    for stream in streams:
        plain.apply(stream)

    mixed = Store()
    events = _interleaved(streams, rng)
    at = 0
    while at < len(events):
        size = rng.randint(1, 7)
        mixed.apply(events[at : at + size])
        again = rng.randint(0, at)
        mixed.apply(events[again : again + rng.randint(0, 5)][: max(0, at + size - again)])
        at += size
    assert mixed.customer.document == plain.customer.document
    assert mixed.customer.version == plain.customer.version == 2


def test_totals_count_an_order_once_after_it_has_left_the_recent_ones() -> None:
    store = Store()
    store.apply(_customer())
    streams = [_order(n, ENDINGS[1]) for n in range(RECENT_ORDERS_MAX + 5)]
    for stream in streams:
        store.apply(stream)
    cancelled = _event(OrderCancelled(reason=None), "o000", 4, 999)
    store.apply([cancelled])
    store.apply([cancelled])
    document = store.customer.document
    assert document["order_count"] == RECENT_ORDERS_MAX + 5
    expected = sum(100 + n for n in range(1, RECENT_ORDERS_MAX + 5))
    assert document["order_total_minor"] == {"EUR": expected}
    assert len(document["orders"]) == RECENT_ORDERS_MAX
    assert document["orders"][0]["id"] == f"o{RECENT_ORDERS_MAX + 4:03}"


def test_a_customer_is_invisible_until_its_own_first_event() -> None:
    store = Store()
    store.apply(_order(1, []))
    assert store.customer.version == 0
    store.apply(_customer())
    assert store.customer.version == 2
    assert store.customer.document["order_count"] == 1


def test_a_missing_version_stops_the_projection() -> None:
    store = Store()
    with pytest.raises(MissingVersionError, match="o001 is at version 0 and the next event is 2"):
        store.apply(_order(1, ENDINGS[1])[1:])
