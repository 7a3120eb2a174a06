"""Replaying what a saga has parked: in order, once, whoever dies and whatever comes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from contracts.events.customers import CreditRefused
from contracts.events.orders import OrderCancelled
from slackwater.errors import ConflictError, StructuralError
from slackwater.events.event import Recorded
from slackwater.manifest import UnknownPartError
from slackwater.parts import consumer_replay
from slackwater.parts.consumer_dead_letters import discarded_of_consumers
from slackwater.parts.dead_letters import Chosen
from slackwater.parts.replay import Decision
from slackwater.read_models.discards import Discard
from slackwater.service.dead_letters import DeadLetters
from slackwater.service.saga_consumer import SagaConsumer
from tests.integration.consuming import ALL, Consuming, handle, records
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from tests.integration.test_saga_parking import AT, create, in_inbox, order, reserved
from write_services.customers.service import service

WHY = Decision(by="ops", why="a test")


class Given:
    """A customer with four orders, the first of them poison and cancelled later; all is parked."""

    def __init__(self, bench: ServiceBench, consuming: Consuming) -> None:
        self.bench = bench
        self.consuming = consuming
        self.fragile = consuming.fragile
        self.consumer: SagaConsumer
        self.ada = ""
        self.events: list[Recorded[Any]] = []

    async def begin(self) -> Given:
        self.ada = await create(self.bench)
        self.events = [order(n, self.ada)[0] for n in range(4)]
        self.events.append(order(0, self.ada, OrderCancelled(reason=None))[1])
        self.fragile.poison = {self.events[0].event.id}
        self.consumer = await self.consuming.begin(AT)
        await self.consumer.handle(records(*self.events))
        return self

    @property
    def ids(self) -> list[str]:
        return [each.event.id for each in self.events]

    def mend(self) -> None:
        self.fragile.poison.clear()

    async def discards(self) -> list[tuple[str, Discard]]:
        return [each async for each in discarded_of_consumers(self.consuming.installation, ALL)]


@pytest.fixture
async def given(open_database: OpenDatabase, tmp_path: Path) -> AsyncIterator[Given]:
    async with running(service, open_database) as bench:
        yield await Given(bench, Consuming(bench, tmp_path)).begin()


async def test_a_replay_handles_in_order_and_closes_the_hole(given: Given) -> None:
    given.mend()
    [one] = await given.consuming.replay()
    assert (one.consumer, one.closed, one.events, one.reason) == ("customers/credit", True, 5, None)
    assert given.fragile.handled == given.ids
    assert await reserved(given.bench) == {given.ada: 300}
    assert await in_inbox(given.bench) == set(given.ids)
    assert (await given.bench.database.read(given.consumer.places))[AT].position == 5
    assert await given.consuming.parked() == []
    assert await given.consuming.replay() == []
    assert given.fragile.handled == given.ids


async def test_only_looking_changes_nothing(given: Given) -> None:
    before = await given.consuming.parked()
    [stuck] = await given.consuming.replay(apply=False)
    assert (stuck.closed, stuck.events) == (False, 0)
    assert "ZeroDivisionError" in (stuck.reason or "")
    given.mend()
    [one] = await given.consuming.replay(apply=False)
    assert (one.closed, one.events, one.reason) == (False, 5, None)
    assert await given.consuming.parked() == before
    assert await reserved(given.bench) == {given.ada: 0}
    assert await in_inbox(given.bench) == set()


async def test_what_still_fails_stays_parked_with_all_behind_it(given: Given) -> None:
    given.fragile.poison = {given.ids[2]}
    [one] = await given.consuming.replay()
    assert (one.closed, one.events) == (False, 2)
    [hole] = await given.consuming.parked()
    assert (hole.first_offset, hole.events) == (2, 3)
    assert given.ids[2] in hole.reason
    assert (await given.bench.database.read(given.consumer.places))[AT].position == 2
    given.mend()
    [rest] = await given.consuming.replay()
    assert (rest.closed, rest.events) == (True, 3)
    assert [*dict.fromkeys(given.fragile.handled)] == given.ids


async def test_a_replay_that_dies_between_two_steps_is_done_again(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.mend()
    monkeypatch.setattr(consumer_replay, "_PAGE", 2)
    remove, pages = DeadLetters.remove, []

    def dying(self: DeadLetters, connection: Connection, hole: Any, page: Any) -> Any:
        pages.append(page)
        if len(pages) == 2:
            raise StructuralError("dead, after the steps and before their letters were removed")
        return remove(self, connection, hole, page)

    monkeypatch.setattr(DeadLetters, "remove", dying)
    with pytest.raises(StructuralError):
        await given.consuming.replay()
    [hole] = await given.consuming.parked()
    assert (hole.first_offset, hole.events, hole.error) == (2, 3, "NotReplayed")
    assert await in_inbox(given.bench) == set(given.ids[:2])
    [one] = await given.consuming.replay()
    assert (one.closed, one.events) == (True, 3)
    assert await reserved(given.bench) == {given.ada: 300}


async def test_what_is_parked_meanwhile_is_replayed_too(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.mend()
    monkeypatch.setattr(consumer_replay, "_PAGE", 3)
    behind = [order(9, given.ada)[0]]
    taken = consumer_replay._Replay._handle

    async def handling(self: Any, size: int) -> Any:
        outcome = await taken(self, size)
        if behind:
            await given.consumer.handle(records(behind.pop(), first=5))
        return outcome

    later = behind[0].event.id
    monkeypatch.setattr(consumer_replay._Replay, "_handle", handling)
    [one] = await given.consuming.replay()
    assert (one.closed, one.events) == (True, 6)
    assert given.fragile.handled == [*given.ids, later]


async def test_its_consumer_goes_on_with_the_key_after_a_replay(given: Given) -> None:
    given.mend()
    await given.consuming.replay()
    later = records(order(9, given.ada)[0], first=5)
    with pytest.raises(ConflictError, match="nothing is parked of key"):
        await given.consumer.handle(later)
    await given.consumer.handle(later)
    assert await given.consuming.parked() == []
    assert await reserved(given.bench) == {given.ada: 400}


async def test_replays_and_parking_at_once_keep_the_order(given: Given) -> None:
    given.mend()
    later = [order(100 + n, given.ada)[0] for n in range(12)]

    async def go_on() -> None:
        for n, each in enumerate(later):
            await handle(given.consumer, records(each, first=5 + n))

    await asyncio.gather(go_on(), given.consuming.replay(), given.consuming.replay())
    await given.consuming.replay()
    assert await given.consuming.parked() == []
    assert await in_inbox(given.bench) == {*given.ids, *(each.event.id for each in later)}
    assert await reserved(given.bench) == {given.ada: 1_000}
    assert await given.bench.violations() == []
    published = await given.bench.published()
    refused = [each.body.order_id for each in published if isinstance(each.body, CreditRefused)]
    assert refused == [f"order-{n}" for n in range(107, 112)], "the last ones, in their order"


async def test_a_second_delivery_of_a_parked_event_is_handled_once(given: Given) -> None:
    given.mend()
    await given.consumer.handle(records(given.events[0], first=5))
    [one] = await given.consuming.replay()
    assert (one.closed, one.events) == (True, 5)


async def test_what_the_saga_can_do_without_is_discarded_and_kept(given: Given) -> None:
    [tried] = await given.consuming.replay(apply=False, decision=WHY)
    assert (tried.closed, tried.events, tried.discarded, tried.reason) == (False, 4, 1, None)
    [one] = await given.consuming.replay(decision=WHY)
    assert (one.closed, one.events, one.discarded) == (True, 4, 1)
    assert await given.consuming.parked() == []
    [(name, kept)] = await given.discards()
    assert (name, kept.record.offset, kept.by, kept.why) == ("customers/credit", 0, "ops", "a test")
    assert kept.error == "PoisonousEventError"
    given.mend()
    again = records(given.events[0], first=5)
    await handle(given.consumer, again)
    assert given.ids[0] not in given.fragile.handled, "it was discarded for ever"


async def test_what_would_leave_something_reserved_is_not_discarded(given: Given) -> None:
    given.fragile.poison = {given.ids[4]}
    for apply in (False, True):
        [one] = await given.consuming.replay(apply=apply, decision=WHY)
        assert (one.closed, one.events, one.discarded) == (False, 4, 0)
        assert "cannot be discarded: without orders.order-cancelled" in (one.reason or "")
        assert f"replay customers/credit --key {given.ada} --yes" in (one.reason or "")
    [hole] = await given.consuming.parked()
    assert (hole.first_offset, hole.events) == (4, 1)
    assert await given.discards() == []


async def test_what_nobody_can_read_is_not_discarded(given: Given) -> None:
    given.mend()
    await given.consuming.replay()
    [unreadable] = records(given.events[0], first=5)
    unreadable.headers.pop("ce_type")
    given.consumer = await given.consuming.begin(AT)
    await given.consumer.handle([unreadable])
    [one] = await given.consuming.replay(decision=WHY)
    assert "nobody can say what it is" in (one.reason or "")
    assert len(await given.consuming.parked()) == 1


async def test_only_what_is_meant_is_discarded(given: Given) -> None:
    for elsewhere in (
        Decision(by="ops", why="a test", offset=1),
        Decision(by="ops", why="a test", error="UnknownEventTypeError"),
    ):
        [one] = await given.consuming.replay(decision=elsewhere)
        assert (one.closed, one.discarded) == (False, 0)
    assert await given.discards() == []


async def test_an_offset_that_may_be_of_two_keys_is_meant_of_none(given: Given) -> None:
    others = [order(n, "another")[0] for n in range(2)]
    given.fragile.poison |= {each.event.id for each in others}
    behind = order(9, given.ada)[0]
    await given.consumer.handle(records(others[0], behind, others[1], first=5))
    meant = Decision(by="ops", why="a test", offset=6)
    with pytest.raises(StructuralError, match="name one with --key"):
        await given.consuming.replay(decision=meant)
    [one] = await given.consuming.replay(Chosen(key="another"), decision=meant)
    assert one.discarded == 0
    assert await given.discards() == []


async def test_what_is_chosen_is_replayed_and_nothing_else(given: Given) -> None:
    given.mend()
    for chosen in (
        Chosen(key="another"),
        Chosen(error="UnknownEventTypeError"),
        Chosen(read_model="orders"),
    ):
        assert await given.consuming.replay(chosen) == []
    with pytest.raises(UnknownPartError, match="has: customers/credit"):
        await given.consuming.replay(Chosen(consumer="customers/debit"))
    named = Chosen(consumer="customers/credit", key=given.ada)
    [one] = await given.consuming.replay(named)
    assert one.closed
