"""Seeding: the planned store comes into being through the same commands as a real one.

Every command carries a key made of what it creates, so a seeding that was stopped anywhere starts
again from the beginning and doubles nothing. The last command adds one more product, the mark: a
later start asks for it once, and knows that all the rest is there.

At most two waves of orders are undecided at any time. That keeps the saga's queue short for
everybody else, and no order waits so long that its deadline rejects it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing

import msgspec

from contracts.documents.orders import OrderDocument, OrderStatus
from gateway.demo.assortment.articles import articles
from gateway.demo.lanes import in_batches, in_lanes
from gateway.demo.pace import Pace
from gateway.demo.plan import ORDERS, Fate, PlannedOrder, StorePlan, store_plan
from gateway.demo.population import Population
from gateway.demo.stage import Stage, watch
from gateway.demo.write_side import ORDERS_A_QUERY, WriteSide
from slackwater.gateway import DemoProgress

COMMANDS_A_SECOND_MAX = 100.0

_ASK_DECIDED_S = 0.2

Work = Callable[[Stage], Coroutine[object, object, None]]


async def seed(
    urls: Mapping[str, str],
    *,
    plan: Callable[[], StorePlan] = store_plan,
    rate_max: float = COMMANDS_A_SECOND_MAX,
) -> AsyncGenerator[DemoProgress, None]:
    """Create the planned store, or what is missing of it; send at most `rate_max` commands/s."""
    async with (
        WriteSide(urls) as write_side,
        aclosing(_seed(write_side, plan, rate_max)) as seeding,
    ):
        async for progress in seeding:
            yield progress


async def is_seeded(write_side: WriteSide) -> bool:
    """Say whether the whole store is there; costs one request."""
    return await write_side.query("inventory", "product", sku=articles()[-1].sku) is not None


async def _seed(
    write_side: WriteSide, plan: Callable[[], StorePlan], rate_max: float
) -> AsyncGenerator[DemoProgress, None]:
    look = Stage(label="looking for earlier demo data", total=1)

    async def count_mark(stage: Stage) -> None:
        stage.done = int(await is_seeded(write_side))

    async with aclosing(_watched(look, count_mark, write_side)) as looking:
        async for progress in looking:
            yield progress
    if look.done:
        yield DemoProgress(label="complete", done=ORDERS, total=ORDERS)
        return
    # Planning takes half a second of computing; whoever shares the event loop must not stand still.
    seeding = _Seeding(await asyncio.to_thread(plan), write_side, Pace(rate_max))
    for stage, work in seeding.stages():
        async with aclosing(_watched(stage, work, write_side)) as working:
            async for progress in working:
                yield progress
        yield stage.progress()


def _watched(stage: Stage, work: Work, write_side: WriteSide) -> AsyncGenerator[DemoProgress, None]:
    return watch(work(stage), lambda: stage.progress(write_side.waiting_for))


class _Placed(msgspec.Struct, frozen=True):
    id: str
    placed_at: str


class _Seeding:
    def __init__(self, plan: StorePlan, write_side: WriteSide, pace: Pace) -> None:
        self._plan = plan
        self._write_side = write_side
        self._population = Population(write_side, pace)
        self._order_ids: dict[int, str] = {}

    def stages(self) -> list[tuple[Stage, Work]]:
        plan = self._plan
        fated = [order for order in plan.orders if order.fate is not Fate.STAY]
        return [
            (Stage(label="customers", total=len(plan.customers)), self._create_customers),
            (Stage(label="products", total=len(plan.products)), self._add_products),
            (Stage(label="orders", total=len(plan.orders)), self._place_orders),
            (
                Stage(label="shipped or cancelled", total=len(fated)),
                lambda stage: self._settle_orders(fated, stage),
            ),
            (Stage(label="complete", total=len(plan.orders)), self._set_mark),
        ]

    async def _create_customers(self, stage: Stage) -> None:
        await self._population.create_customers(self._plan.customers, stage)

    async def _add_products(self, stage: Stage) -> None:
        await self._population.add_products(self._plan.products, stage)

    async def _place_orders(self, stage: Stage) -> None:
        async def place(order: PlannedOrder) -> str | None:
            order_id = await self._place(order)
            stage.done += 1
            return order_id

        undecided: list[str] = []
        for wave in in_batches(self._plan.orders, ORDERS_A_QUERY):
            placed = await in_lanes(wave, place)
            await self._decided(undecided, stage)
            undecided = [order_id for order_id in placed if order_id is not None]
        await self._decided(undecided, stage)

    async def _place(self, order: PlannedOrder) -> str | None:
        """Place an order; return its id if that is new."""
        customer_id = self._population.customer_ids.get(order.basket.customer_number)
        if customer_id is None:
            return None
        answer = await self._population.send(
            "orders",
            "place-order",
            order.basket.as_command(customer_id),
            key=f"demo-order-{order.number:06}",
            read_after=self._population.catalogue_tick,
        )
        if answer.result is None:
            return None
        placed = msgspec.convert(answer.result["order"], _Placed)
        self._order_ids[order.number] = placed.id
        return None if self._population.is_from_earlier_run(placed.placed_at) else placed.id

    async def _decided(self, order_ids: Sequence[str], stage: Stage) -> list[OrderDocument]:
        """Wait until the saga has decided all of them."""
        decided: list[OrderDocument] = []
        while order_ids:
            found = await self._write_side.orders(order_ids)
            decided += [order for order in found if order.status is not OrderStatus.PENDING]
            order_ids = [order.id for order in found if order.status is OrderStatus.PENDING]
            if order_ids:
                stage.waits_for = f"the decision on {len(order_ids)} orders"
                await asyncio.sleep(_ASK_DECIDED_S)
        stage.waits_for = None
        return decided

    async def _settle_orders(self, fated: Sequence[PlannedOrder], stage: Stage) -> None:
        async def settle(order: PlannedOrder) -> None:
            await self._settle(order)
            stage.done += 1

        for wave in in_batches(fated, ORDERS_A_QUERY):
            approved = await self._approved(wave, stage)
            stage.done += len(wave) - len(approved)
            await in_lanes(approved, settle)

    async def _approved(self, wave: Sequence[PlannedOrder], stage: Stage) -> list[PlannedOrder]:
        """Return those that still wait for their fate."""
        by_id = {
            self._order_ids[order.number]: order
            for order in wave
            if order.number in self._order_ids
        }
        decided = await self._decided(list(by_id), stage)
        return [by_id[order.id] for order in decided if order.status is OrderStatus.APPROVED]

    async def _settle(self, order: PlannedOrder) -> None:
        order_id = self._order_ids[order.number]
        if order.fate is Fate.SHIP:
            name, body = "ship-order", {"order_id": order_id}
        else:
            name, body = "cancel-order", {"order_id": order_id, "reason": order.cancel_reason}
        key = f"demo-{order.fate.lower()}-{order.number:06}"
        await self._population.send("orders", name, body, key=key)

    async def _set_mark(self, stage: Stage) -> None:
        await self._population.add_product(self._plan.mark)
        stage.done = stage.total
