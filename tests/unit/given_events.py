"""Events as another service would have published them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contracts.events import event_types
from contracts.events.orders import OrderLine, OrderPlaced
from contracts.money import Money
from slackwater.events.event import Cause, Event, EventBody, Recorded
from slackwater.ids import new_id

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def published(
    body: EventBody,
    aggregate_id: str,
    *,
    version: int = 1,
    key: str | None = None,
    at: datetime = NOW,
) -> Recorded[Any]:
    """Return an event with its envelope."""
    event_type = event_types.of_body(type(body))
    event = Event(
        id=new_id(),
        source=event_type.name.partition(".")[0],
        topic=event_type.topic.name,
        type=event_type.name,
        schema_version=event_type.schema_version,
        aggregate_type=event_type.aggregate_type,
        aggregate_id=aggregate_id,
        version=version,
        partition_key=key or aggregate_id,
        time=at,
        data=msgspec.json.encode(body),
        cause=Cause.start(),
    )
    return Recorded(event, body)


def stream(aggregate_id: str, *bodies: EventBody, key: str = "customer-1") -> list[Recorded[Any]]:
    """Return the events of one aggregate, a second apart."""
    return [
        published(body, aggregate_id, version=n + 1, key=key, at=NOW + timedelta(seconds=n))
        for n, body in enumerate(bodies)
    ]


def euros(minor: int) -> Money:
    return Money(minor=minor, currency="EUR")


def line(sku: str, quantity: int, price: Money | None = None) -> OrderLine:
    price = price or euros(100)
    total = Money(minor=price.minor * quantity, currency=price.currency)
    return OrderLine(
        sku=sku, product_name=sku.title(), quantity=quantity, unit_price=price, total=total
    )


def placed(*lines: OrderLine, customer_id: str = "customer-1") -> OrderPlaced:
    """Return the placing of an order, by default of one thing for one euro."""
    lines = lines or (line("tea", 1),)
    total = sum(one.total.minor for one in lines)
    return OrderPlaced(
        customer_id=customer_id,
        lines=list(lines),
        total=Money(minor=total, currency=lines[0].total.currency),
        note=None,
        deadline=NOW + timedelta(seconds=30),
    )
