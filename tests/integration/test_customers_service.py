"""The customers service on its database: commands, saga steps, queries and facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from contracts.events.orders import OrderCancelled, OrderShipped
from slackwater.events.event import EventBody, Recorded
from slackwater.outbox.unit_of_work import ForgottenEventError, UnitOfWork
from slackwater.service.commands import CommandType
from slackwater.service.definition import InvalidQueryError
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from tests.unit.given_events import euros, line, placed, stream
from write_services.customers import tables
from write_services.customers.service import service


@pytest.fixture
async def customers(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        yield bench


async def create(customers: ServiceBench, **changes: Any) -> Any:
    fields = {"name": "Ada", "email": "ada@example.com", "credit_limit": money(1_000)}
    return (await customers.command("create-customer", **{**fields, **changes})).body["customer"]


def money(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


def order(n: int, customer_id: str, minor: int, *closings: EventBody) -> list[Recorded[Any]]:
    opening = placed(line("tea", 1, euros(minor)), customer_id=customer_id)
    return stream(f"order-{n}", opening, *closings, key=customer_id)


async def test_a_created_customer_is_answered_queried_and_a_fact(customers: ServiceBench) -> None:
    ada = await create(customers)
    assert (ada["credit_limit"], ada["credit_reserved"]) == (money(1_000), money(0))
    assert await customers.query("customer", id=ada["id"]) == ada
    assert await customers.query("customers", ids=f"nobody,{ada['id']}") == [ada]
    assert await customers.query("customer", id="nobody") is None
    [fact] = await customers.facts("customer")
    assert (fact.kind, fact.id, fact.version, fact.data) == ("customer", ada["id"], 1, ada)


async def test_a_changed_limit_is_the_next_version(customers: ServiceBench) -> None:
    ada = await create(customers)
    answer = await customers.command(
        "change-credit-limit", customer_id=ada["id"], credit_limit=money(5)
    )
    assert answer.status == 200
    assert answer.body["customer"]["credit_limit"] == money(5)
    assert await customers.versions() == {ada["id"]: [1, 2]}


async def test_refusals_change_nothing(customers: ServiceBench) -> None:
    unknown = await customers.command(
        "change-credit-limit", customer_id="nobody", credit_limit=money(5)
    )
    assert (unknown.status, unknown.body["code"]) == (409, "CUSTOMER_NOT_FOUND")
    bad = await customers.command(
        "create-customer", name="", email="ada@example.com", credit_limit=money(5)
    )
    assert (bad.status, bad.body["details"]) == (409, {"field": "name"})
    assert await customers.published() == []


async def test_a_command_sent_again_with_its_key_is_done_once(customers: ServiceBench) -> None:
    fields = {"name": "Ada", "email": "ada@example.com", "credit_limit": money(1)}
    first = await customers.command("create-customer", key="key-1", **fields)
    again = await customers.command("create-customer", key="key-1", **fields)
    assert again == first
    assert len(await customers.published()) == 1
    other = await customers.command("create-customer", key="key-1", **{**fields, "name": "Eve"})
    assert other.body["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"


async def test_what_a_restored_source_publishes_again_is_handled_once(
    customers: ServiceBench,
) -> None:
    ada = await create(customers)
    first, second = order(1, ada["id"], 300), order(2, ada["id"], 200)
    await customers.hear(*first)
    customers.timeline = "after the restore"
    await customers.hear(*first, *second)
    assert [fact.data["credit_reserved"] for fact in await customers.facts("customer")] == [
        money(500)
    ]
    assert [recorded.event.version for recorded in await customers.published()] == [1, 2, 3]
    progress = customers.service.tables.consumer_progress
    kept = await customers.database.read(
        lambda connection: connection.execute(
            select(progress.c.timeline, progress.c.position)
        ).all()
    )
    assert kept == [("after the restore", 2)]


async def test_credit_is_reserved_refused_and_released(customers: ServiceBench) -> None:
    ada = await create(customers)
    fits, too_much = order(1, ada["id"], 700, OrderShipped()), order(2, ada["id"], 301)
    await customers.hear(fits[0], too_much[0], fits[0])
    assert [fact.data["credit_reserved"] for fact in await customers.facts("customer")] == [
        money(700)
    ]
    below = await customers.command(
        "change-credit-limit", customer_id=ada["id"], credit_limit=money(699)
    )
    assert below.body["code"] == "CREDIT_LIMIT_BELOW_RESERVED"
    await customers.hear(fits[1])
    await customers.hear(*fits, too_much[0])
    assert [recorded.event.type for recorded in await customers.published()] == [
        "customers.customer-created",
        "customers.credit-reserved",
        "customers.credit-refused",
        "customers.credit-released",
    ]
    assert await customers.versions() == {ada["id"]: [1, 2, 3], "order-2": [1]}
    assert await customers.violations() == []


async def test_the_tombstone_of_an_unheard_order_needs_no_event(customers: ServiceBench) -> None:
    ada = await create(customers)
    opened, cancelled = order(1, ada["id"], 10, OrderCancelled(reason=None))
    await customers.hear(cancelled)
    await customers.hear(opened)
    assert await customers.versions() == {ada["id"]: [1]}


async def test_a_forgotten_event_is_noticed(customers: ServiceBench) -> None:
    ada = await create(customers)

    def forget(unit: UnitOfWork, _: msgspec.Struct) -> None:
        unit.connection.execute(update(tables.customer).values(credit_limit_minor=9))

    forgetful = CommandType(name="forget", body=msgspec.Struct, handle=forget)
    changed = msgspec.structs.replace(service, commands=(forgetful,))
    with pytest.raises(ForgottenEventError):
        await ServiceBench(changed, customers.database).command("forget")
    assert await customers.query("customer", id=ada["id"]) == ada


async def test_the_table_itself_holds_the_limit(customers: ServiceBench) -> None:
    await create(customers)
    with pytest.raises(IntegrityError):
        await customers.database.transact(
            lambda connection: connection.execute(
                update(tables.customer).values(credit_reserved_minor=1_001)
            )
        )


async def test_a_wrong_sum_of_reservations_is_told(customers: ServiceBench) -> None:
    ada = await create(customers)
    await customers.database.transact(
        lambda connection: connection.execute(
            update(tables.customer).values(credit_reserved_minor=7)
        )
    )
    assert await customers.violations() == [
        f"customer {ada['id']} has 7 reserved, but its orders hold 0"
    ]


@pytest.mark.parametrize("ids", ["", ",".join(str(n) for n in range(101))])
async def test_a_query_that_cannot_be_answered_says_why(customers: ServiceBench, ids: str) -> None:
    with pytest.raises(InvalidQueryError, match="ids"):
        await customers.query("customers", ids=ids)


async def test_credit_held_for_a_customer_who_does_not_exist_is_told(
    customers: ServiceBench,
) -> None:
    row = {
        "order_id": "order-1",
        "customer_id": "nobody",
        "amount_minor": 7,
        "state": "RESERVED",
    }
    await customers.database.transact(
        lambda connection: connection.execute(insert(tables.credit_reservation).values(row))
    )
    assert await customers.violations() == [
        "order order-1 holds credit of customer nobody, who does not exist"
    ]
