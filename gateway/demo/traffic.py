"""Traffic: orders at a steady rate for ever, and what follows from them.

The rate is an open loop: orders come when they are due, however slowly the last ones are answered,
as customers do. What cannot be sent because too much is in flight counts as missed; `done` of
`total` says how many of the orders due so far have been placed.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from itertools import count

import msgspec

from gateway.demo.fulfilment import Fulfilment
from gateway.demo.pace import Pace
from gateway.demo.plan import StorePlan, store_plan
from gateway.demo.population import Population
from gateway.demo.seed import COMMANDS_A_SECOND_MAX, is_seeded
from gateway.demo.shopping import Shoppers
from gateway.demo.stage import Stage, watch
from gateway.demo.write_side import UnansweredError, WriteSide
from slackwater.errors import StructuralError
from slackwater.gateway import DemoProgress
from slackwater.ids import new_id

_HANDFUL_OF_CUSTOMERS = 12
_HANDFUL_OF_PRODUCTS = 60
_PATIENCE_S = 10.0
_IN_FLIGHT_MAX = 256
_SHOWN = ("approved", "rejected", "shipped", "cancelled", "restocked")
_SHOWN_WHEN_THERE = ("refused", "missed", "unanswered")


class NoCustomersError(StructuralError):
    """Every demo customer was refused; use another data folder."""


async def traffic(
    urls: Mapping[str, str],
    rate: float,
    *,
    plan: Callable[[], StorePlan] = store_plan,
    random_seed: int | None = None,
) -> AsyncGenerator[DemoProgress, None]:
    """Place `rate` orders a second until closed; the first label tells the random seed.

    Raises:
        NoCustomersError: there is no customer to order anything.
        UnansweredError: the services cannot be reached at the start.
    """
    random_seed = secrets.randbelow(10**6) if random_seed is None else random_seed
    yield DemoProgress(label=f"random seed {random_seed}", done=0, total=0)
    async with WriteSide(urls, patience_s=_PATIENCE_S) as write_side:
        stage = Stage(label="finding customers and products", total=0)
        running = _Traffic(write_side, rate, random.Random(random_seed))  # noqa: S311 - no secret
        preparing = watch(
            running.prepare(plan, stage), lambda: stage.progress(write_side.waiting_for)
        )
        async with aclosing(preparing):
            async for progress in preparing:
                yield progress
        async with aclosing(watch(running.run(), running.progress)) as placing:
            async for progress in placing:
                yield progress


class _Traffic:
    def __init__(self, write_side: WriteSide, rate: float, rng: random.Random) -> None:
        self._write_side = write_side
        self._rate = rate
        self._rng = rng
        self._run_id = new_id()
        self._counts: Counter[str] = Counter()
        self._population = Population(write_side, Pace(COMMANDS_A_SECOND_MAX))
        self._in_flight = 0
        self._customer_ids: list[str | None] = []
        self._fulfilment: Fulfilment
        self._shoppers: Shoppers

    def progress(self) -> DemoProgress:
        told = [f"{self._counts[name]} {name}" for name in _SHOWN]
        told += [f"{self._counts[name]} {name}" for name in _SHOWN_WHEN_THERE if self._counts[name]]
        stage = Stage(
            label=f"orders placed; {', '.join(told)}",
            done=self._counts["placed"],
            total=self._counts["due"],
        )
        return stage.progress(self._write_side.waiting_for)

    async def prepare(self, make_plan: Callable[[], StorePlan], stage: Stage) -> None:
        """Find the demo data; where there is none, create a handful of it."""
        plan = await asyncio.to_thread(make_plan)
        if not await is_seeded(self._write_side):
            plan = _handful(plan)
        stage.total = len(plan.customers) + len(plan.products)
        await self._population.create_customers(plan.customers, stage)
        await self._population.add_products(plan.products, stage)
        known_ids = self._population.customer_ids
        self._customer_ids = [known_ids.get(customer.number) for customer in plan.customers]
        if not known_ids:
            raise NoCustomersError("every demo customer was refused; use another data folder")
        self._shoppers = Shoppers(
            [product.article for product in plan.products], len(plan.customers), self._rng
        )
        self._fulfilment = Fulfilment(
            self._write_side,
            stock={product.article.sku: product.stock for product in plan.products},
            counts=self._counts,
            rng=self._rng,
            run_id=self._run_id,
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fulfilment.run())
            await self._place_when_due(tasks)

    async def _place_when_due(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for number in count():
            await asyncio.sleep(max(0.0, started_s + number / self._rate - loop.time()))
            self._counts["due"] += 1
            if self._in_flight < _IN_FLIGHT_MAX:
                self._in_flight += 1
                tasks.create_task(self._place(number))
            else:
                self._counts["missed"] += 1

    async def _place(self, number: int) -> None:
        try:
            await self._try_to_place(number)
        except UnansweredError:
            self._counts["unanswered"] += 1
        finally:
            self._in_flight -= 1

    async def _try_to_place(self, number: int) -> None:
        basket = self._shoppers.draw()
        customer_id = self._customer_ids[basket.customer_number]
        if customer_id is None:
            self._counts["refused"] += 1
            return
        answer = await self._write_side.command(
            "orders",
            "place-order",
            basket.as_command(customer_id),
            key=f"traffic-{self._run_id}-{number}",
            read_after=self._population.catalogue_tick,
        )
        if answer.result is None:
            self._counts["refused"] += 1
            return
        self._counts["placed"] += 1
        self._fulfilment.follow(answer.result["order"]["id"])


def _handful(plan: StorePlan) -> StorePlan:
    """Take the customers with most credit, and products from all over the catalogue."""
    by_credit = sorted(plan.customers, key=lambda customer: -customer.credit_limit.minor)
    step = len(plan.products) // _HANDFUL_OF_PRODUCTS
    return msgspec.structs.replace(
        plan,
        customers=by_credit[:_HANDFUL_OF_CUSTOMERS],
        products=plan.products[::step][:_HANDFUL_OF_PRODUCTS],
    )
