"""Reads of the write services for one operation: each thing once, and many of them together.

What was loaded is as old as its question, however often it is shown: every answer comes with the
moment before the service was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from strawberry.dataloader import DataLoader

if TYPE_CHECKING:
    from gateway.freshness.served import RequestFreshness
    from gateway.services import Services

_TOGETHER_MAX = 100
_AT_ONCE_MAX = 16

Parameters = tuple[tuple[str, str], ...]


class Answered(msgspec.Struct, frozen=True):
    """What a service answered, and the monotonic clock before it was asked."""

    content: Any
    asked_s: float


class Sources:
    """The readers of the write services' own truth; they remember what they have read."""

    def __init__(self, services: Services, freshness: RequestFreshness) -> None:
        self._services = services
        self._freshness = freshness
        self._at_once = asyncio.Semaphore(_AT_ONCE_MAX)
        self.customers = self._things("customers", "customer", "id")
        self.orders = self._things("orders", "order", "id")
        self.products = self._things("inventory", "product", "sku")
        self._pages = DataLoader(self._load_pages)

    async def orders_of_customer(self, customer_id: str, **wanted: str) -> Answered:
        """Return a page of a customer's orders, with what all of them come to."""
        parameters = {"customer_id": customer_id, **wanted}
        return await self._pages.load(tuple(sorted(parameters.items())))

    def anew(self) -> Sources:
        """Return readers that remember nothing."""
        return Sources(self._services, self._freshness)

    def _things(self, service: str, name: str, key: str) -> DataLoader[str, Answered]:
        async def load(keys: list[str]) -> list[Answered]:
            asked_s = self._freshness.now_s()
            together = [one for one in keys if one and "," not in one]  # commas part the keys
            found = await self._many(service, name, key, together if len(together) > 1 else [])
            apart = [one for one in keys if len(together) < 2 or one not in together]
            answers = await asyncio.gather(*(self._ask(service, name, {key: one}) for one in apart))
            found.update(zip(apart, answers, strict=True))
            return [Answered(found.get(one), asked_s) for one in keys]

        return DataLoader(load, max_batch_size=_TOGETHER_MAX)

    async def _many(self, service: str, name: str, key: str, keys: Sequence[str]) -> dict[str, Any]:
        if not keys:
            return {}
        found = await self._ask(service, f"{name}s", {f"{key}s": ",".join(keys)})
        return {one[key]: one for one in found or ()}

    async def _load_pages(self, wanted: list[Parameters]) -> list[Answered]:
        asked_s = self._freshness.now_s()
        asked = (self._ask("orders", "customer-orders", dict(one)) for one in wanted)
        return [Answered(content, asked_s) for content in await asyncio.gather(*asked)]

    async def _ask(self, service: str, name: str, parameters: Mapping[str, str]) -> Any:
        async with self._at_once:
            return await self._services.query(service, name, **parameters)
