"""Fulfilment: what becomes of the orders of endless traffic once the saga has decided them.

Everything that is reserved is given back some day, or traffic would end in a store where all credit
is used and all stock is gone: an order that nobody ships is shipped when many newer ones wait, what
has been sold is restocked, and who is refused credit gets more of it now and then.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec

from contracts.documents.orders import OrderDocument, OrderStatus
from contracts.events.orders import OrderLine, RejectionReason
from gateway.demo.lanes import in_lanes
from gateway.demo.plan import Fate, draw_fate
from gateway.demo.write_side import ORDERS_A_QUERY, UnansweredError, WriteSide

_FOLLOW_AFTER_S = 1.0
_FOLLOW_INTERVAL_S = 0.1
_FOLLOWED_MAX = 10_000
_UNSHIPPED_MAX = 500
_RESTOCK_WHEN_SOLD = 0.5
_RESTOCK_SHARE = 0.3
_RESTOCK_ORDERS = 20
_RAISE_SHARE = 0.2
_RAISE_BY_PERCENT = 25


class _Followed(msgspec.Struct, frozen=True):
    due_s: float
    order_id: str


class Fulfilment:
    """Follows orders, at most 10,000 at once; what it does it adds to `counts`."""

    def __init__(
        self,
        write_side: WriteSide,
        *,
        stock: Mapping[str, int],
        counts: Counter[str],
        rng: random.Random,
        run_id: str,
    ) -> None:
        self._write_side = write_side
        self._stock = stock
        self._counts = counts
        self._rng = rng
        self._run_id = run_id
        self._numbers = count()
        self._followed: deque[_Followed] = deque(maxlen=_FOLLOWED_MAX)
        self._unshipped: deque[str] = deque()
        self._sold: Counter[str] = Counter()

    def follow(self, order_id: str) -> None:
        """Look at the order in a second; the oldest is forgotten where there are too many."""
        self._followed.append(_Followed(time.monotonic() + _FOLLOW_AFTER_S, order_id))

    async def run(self) -> None:
        while True:
            due = self._take_due()
            try:
                await self._look_at(due)
            except UnansweredError:
                self._counts["unanswered"] += 1
            if len(due) < ORDERS_A_QUERY:
                await asyncio.sleep(_FOLLOW_INTERVAL_S)

    def _take_due(self) -> list[str]:
        due: list[str] = []
        now_s = time.monotonic()
        while self._followed and len(due) < ORDERS_A_QUERY and self._followed[0].due_s <= now_s:
            due.append(self._followed.popleft().order_id)
        return due

    async def _look_at(self, order_ids: list[str]) -> None:
        if order_ids:
            await in_lanes(await self._write_side.orders(order_ids), self._go_on)

    async def _go_on(self, order: OrderDocument) -> None:
        try:
            await self._try_to_go_on(order)
        except UnansweredError:
            self._counts["unanswered"] += 1

    async def _try_to_go_on(self, order: OrderDocument) -> None:
        match order.status:
            case OrderStatus.PENDING:
                self.follow(order.id)
            case OrderStatus.APPROVED:
                self._counts["approved"] += 1
                await self._settle(order.id)
                await self._restock_sold(order.lines)
            case OrderStatus.REJECTED:
                self._counts["rejected"] += 1
                await self._make_up_for(order)

    async def _settle(self, order_id: str) -> None:
        fate = draw_fate(self._rng)
        if fate is Fate.CANCEL:
            body = {"order_id": order_id, "reason": "Not needed any more."}
            await self._command("orders", "cancel-order", body, counted_as="cancelled")
            return
        if fate is Fate.STAY:
            self._unshipped.append(order_id)
            if len(self._unshipped) <= _UNSHIPPED_MAX:
                return
            order_id = self._unshipped.popleft()
        await self._command("orders", "ship-order", {"order_id": order_id}, counted_as="shipped")

    async def _restock_sold(self, lines: list[OrderLine]) -> None:
        for line in lines:
            self._sold[line.sku] += line.quantity
            if self._sold[line.sku] >= max(1, self._stock[line.sku] * _RESTOCK_WHEN_SOLD):
                await self._restock(line.sku, self._sold.pop(line.sku))

    async def _make_up_for(self, order: OrderDocument) -> None:
        drawn = self._rng.random()
        if order.rejection_reason is RejectionReason.OUT_OF_STOCK and drawn < _RESTOCK_SHARE:
            for line in order.lines:
                await self._restock(line.sku, line.quantity * _RESTOCK_ORDERS)
        if order.rejection_reason is RejectionReason.CREDIT_LIMIT_EXCEEDED and drawn < _RAISE_SHARE:
            await self._raise_limit(order.customer_id)

    async def _restock(self, sku: str, quantity: int) -> None:
        body = {"sku": sku, "quantity": quantity}
        await self._command("inventory", "restock-product", body, counted_as="restocked")

    async def _raise_limit(self, customer_id: str) -> None:
        customer = await self._write_side.query("customers", "customer", id=customer_id)
        if customer is None:
            return
        limit = customer["credit_limit"]
        raised = {**limit, "minor": limit["minor"] * (100 + _RAISE_BY_PERCENT) // 100}
        body = {"customer_id": customer_id, "credit_limit": raised}
        await self._command("customers", "change-credit-limit", body, counted_as="limits raised")

    async def _command(
        self, service: str, name: str, body: Mapping[str, Any], *, counted_as: str
    ) -> None:
        key = f"traffic-{self._run_id}-{name}-{next(self._numbers)}"
        answer = await self._write_side.command(service, name, body, key=key)
        self._counts[counted_as if answer.code is None else "refused"] += 1
