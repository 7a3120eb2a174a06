"""Events that no service ever committed, appended in its source's timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from contracts.events.customers import CUSTOMER, CreditLimitChanged
from contracts.events.orders import ORDER
from contracts.money import Money
from contracts.topics import CUSTOMERS, ORDERS
from slackwater.clock import SystemClock
from slackwater.event_log.port import NewRecord
from slackwater.events.cloudevents import TIMELINE_HEADER, to_headers
from slackwater.events.event import Cause, Event
from slackwater.ids import new_id
from slackwater.installation import Installation
from slackwater.settings import load_settings
from slackwater.watermarks.newest import newest_by_topic
from tests.end_to_end.harness import Running

_APPENDED_AT_ONCE = 1_000
_LIMIT_CHANGED = "customers.credit-limit-changed"


def inject_unknown(installation: Running, customer: str, *, followed_by: int = 0) -> None:
    """Append an event that no projection knows, and behind it changes of the credit limit.

    Args:
        customer: the key.
        followed_by: how many; each sets the limit to its own number, from 1 on.
    """
    events = [_event(customer, 2, "customers.unheard_of", b"{"), *_limits(customer, followed_by)]
    asyncio.run(_append(installation, customer, events))


def inject_keyless(installation: Running, customer: str) -> None:
    """Append an event that no projection knows, and that has no key; `customer` is whose it is."""
    asyncio.run(_append(installation, "", [_event(customer, 2, "customers.unheard_of", b"{")]))


def inject_unreadable_order(installation: Running, customer: str) -> None:
    """Append the cancelling of an order in a version that nobody knows yet.

    Args:
        customer: the key.
    """
    event = replace(
        _event(customer, 2, "orders.order-cancelled", b"{}"),
        source="orders",
        topic=ORDERS.name,
        schema_version=9,
        aggregate_type=ORDER,
        aggregate_id=new_id(),
    )
    asyncio.run(_append(installation, customer, [event]))


def _limits(customer: str, count: int) -> Iterator[Event]:
    for number in range(1, count + 1):
        body = CreditLimitChanged(credit_limit=Money(minor=100 * number, currency="EUR"))
        yield _event(customer, number + 1, _LIMIT_CHANGED, msgspec.json.encode(body))


def _event(customer: str, version: int, type_: str, data: bytes) -> Event:
    return Event(
        id=new_id(),
        source="customers",
        topic=CUSTOMERS.name,
        type=type_,
        schema_version=1,
        aggregate_type=CUSTOMER,
        aggregate_id=customer,
        version=version,
        partition_key=customer,
        time=SystemClock().now(),
        data=data,
        cause=Cause.start(),
    )


async def _append(installation: Running, key: str, events: list[Event]) -> None:
    opened = Installation(load_settings({"data_dir": installation.data_dir}))
    try:
        timeline = (await newest_by_topic(opened.event_log))[events[0].topic].timeline
        for first in range(0, len(events), _APPENDED_AT_ONCE):
            await opened.event_log.append(
                [
                    NewRecord(
                        topic=event.topic,
                        key=key,
                        value=event.data,
                        headers={**to_headers(event), TIMELINE_HEADER: timeline},
                    )
                    for event in events[first : first + _APPENDED_AT_ONCE]
                ]
            )
    finally:
        await opened.close()
