"""The demo's customers and products, made by idempotent commands.

Asked again, the services give the first answers: so customers' ids are found without being kept
anywhere, and nothing is made twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contracts.timestamps import from_text
from gateway.demo.lanes import in_batches, in_lanes
from gateway.demo.pace import Pace
from gateway.demo.plan import PlannedCustomer, PlannedProduct
from gateway.demo.stage import Stage
from gateway.demo.write_side import Answered, Tick, WriteSide

_SKUS_A_QUERY = 100
_CLOCK_SKEW = timedelta(seconds=1)


class Population:
    """Makes customers and products, and knows them afterwards.

    `customer_ids` are by the customers' numbers; `catalogue_tick` is where inventory stood when the
    last product was there, for orders to wait until their copy of the catalogue has them all.
    """

    def __init__(self, write_side: WriteSide, pace: Pace) -> None:
        self._write_side = write_side
        self._pace = pace
        self._started = datetime.now(UTC)
        self.customer_ids: dict[int, str] = {}
        self.catalogue_tick: Tick | None = None

    async def create_customers(self, customers: Sequence[PlannedCustomer], stage: Stage) -> None:
        async def create(customer: PlannedCustomer) -> None:
            await self._create_customer(customer)
            stage.done += 1

        await in_lanes(customers, create)

    async def _create_customer(self, customer: PlannedCustomer) -> None:
        body = {
            "name": customer.company.name,
            "email": customer.company.email,
            "credit_limit": msgspec.to_builtins(customer.credit_limit),
        }
        key = f"demo-customer-{customer.number:06}"
        answer = await self.send("customers", "create-customer", body, key=key)
        if answer.result is not None:
            self.customer_ids[customer.number] = answer.result["customer"]["id"]
            self.is_from_earlier_run(answer.result["customer"]["created_at"])

    async def add_products(self, products: Sequence[PlannedProduct], stage: Stage) -> None:
        """Add those that are missing; one is sent in any case, for the tick in its answer."""
        known = await self._known_skus(products)
        missing = [product for product in products if product.article.sku not in known]
        stage.done += len(products) - len(missing)

        async def add(product: PlannedProduct) -> None:
            await self.add_product(product)
            stage.done += 1

        await in_lanes(missing, add)
        if not missing:
            await self.add_product(products[-1])

    async def _known_skus(self, products: Sequence[PlannedProduct]) -> set[str]:
        known: set[str] = set()
        for batch in in_batches(products, _SKUS_A_QUERY):
            skus = ",".join(product.article.sku for product in batch)
            found = await self._write_side.query("inventory", "products", skus=skus)
            known.update(product["sku"] for product in found or ())
        return known

    async def add_product(self, product: PlannedProduct) -> None:
        article = product.article
        body = {
            "sku": article.sku,
            "name": article.name,
            "description": article.description,
            "price": msgspec.to_builtins(article.price),
            "stock": product.stock,
        }
        answer = await self.send(
            "inventory", "add-product", body, key=f"demo-product-{article.sku}"
        )
        if answer.tick is not None:
            self.catalogue_tick = _later(self.catalogue_tick, answer.tick)

    async def send(
        self,
        service: str,
        name: str,
        body: Mapping[str, Any],
        *,
        key: str,
        read_after: Tick | None = None,
    ) -> Answered:
        """Send a command when it is its turn."""
        await self._pace.turn()
        sent_s = time.monotonic()
        answer = await self._write_side.command(service, name, body, key=key, read_after=read_after)
        self._pace.answered(time.monotonic() - sent_s)
        return answer

    def is_from_earlier_run(self, made_at: str) -> bool:
        """Say whether a command only repeated an earlier one; that costs little, so no turn."""
        is_earlier = from_text(made_at) < self._started - _CLOCK_SKEW
        if is_earlier:
            self._pace.give_back()
        return is_earlier


def _later(one: Tick | None, other: Tick) -> Tick:
    if one is None or (one.epoch, one.n) < (other.epoch, other.n):
        return other
    return one
