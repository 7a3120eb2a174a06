"""Clients that write through the gateway, and read what they wrote with the token they got."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.client import Connection
from tests.faults.oracle.verdicts import Sample
from tests.faults.oracle.writers import CURRENCY, new_word

AWAY_S = 0.2
HELD_S = 120.0
_START = 1_000

_CREATE = """mutation ($input: CreateCustomerInput!) { write: createCustomer(input: $input)
  { ... on CreateCustomerSuccess { consistencyToken customer { id } } } }"""
_ADD = """mutation ($input: AddProductInput!) { write: addProduct(input: $input)
  { ... on AddProductSuccess { consistencyToken } } }"""
_CHANGE = """mutation ($input: ChangeCreditLimitInput!) { write: changeCreditLimit(input: $input)
  { ... on ChangeCreditLimitSuccess { consistencyToken } } }"""
_RESTOCK = """mutation ($input: RestockProductInput!) { write: restockProduct(input: $input)
  { ... on RestockProductSuccess { consistencyToken } } }"""

_READ = "query ($token: String!, $of: {}!) @readAfter(tokens: [$token]) {{ {} }}"
_READ_LIMIT = _READ.format("ID", "customer(id: $of) { creditLimit { amount } }")
_READ_STOCK = _READ.format("String", "product(sku: $of) { stockAvailable }")
_READ_NAME = _READ.format("String", "search(text: $of, kinds: [CUSTOMER]) { totalCount }")


class RefusedWriteError(Exception):
    """The gateway did not take a write; nothing is known of it."""


class NeverHeldError(Exception):
    """A token was not held for far longer than any fault lasts."""


@dataclass
class TokenTally:
    """Reads with a token, by what they asked, and how long each waited."""

    reads: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    waits_ms: dict[str, Sample] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Return all figures; a refused read was told so, and asked again."""
        return {
            "reads": dict(self.reads),
            "misses": dict(self.misses),
            "refused": self.refused,
            "wait_ms": {name: each.percentiles() for name, each in self.waits_ms.items()},
        }


class TokenClient:
    """Raises a limit and a stock of its own, and creates customers that it searches for."""

    def __init__(self, port: int, tally: TokenTally, *, writing: asyncio.Event, seed: int) -> None:
        """It writes while `writing` is set."""
        self._connection = Connection(port)
        self._tally = tally
        self._writing = writing
        self._rng = random.Random(seed)
        self._customer = self._sku = ""
        self._limit = self._stock = _START

    async def run(self) -> None:
        """Write and read for ever."""
        steps = (self._raise_limit, self._raise_stock, self._create_customer)
        try:
            await self._again(self._set_up)
            while True:
                await self._writing.wait()
                await self._again(self._rng.choice(steps))
        finally:
            self._connection.close()

    async def _again(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step until it is taken; the gateway and the services may be away."""
        while True:
            try:
                return await step()
            except (OSError, asyncio.IncompleteReadError, RefusedWriteError):
                self._tally.refused += 1
                await asyncio.sleep(AWAY_S)

    async def _set_up(self) -> None:
        made = await self._write(_CREATE, **_named(new_word(self._rng)))
        self._customer = made["customer"]["id"]
        await self._add_product()

    async def _add_product(self) -> None:
        price = {"amount": "1.00", "currency": CURRENCY}
        sku = f"TOKEN-{new_word(self._rng)}"
        await self._write(_ADD, sku=sku, name="Thing", price=price, stock=_START)
        self._sku, self._stock = sku, _START

    async def _raise_limit(self) -> None:
        self._limit += 1  # skipped when the write was refused: whatever is greater will do
        limit = _money(self._limit)
        written = await self._write(_CHANGE, customerId=self._customer, creditLimit=limit)
        token = written["consistencyToken"]
        data = await self._read("customer", _READ_LIMIT, token, self._customer)
        shown = data["customer"]
        self._judge("customer", shown and float(shown["creditLimit"]["amount"]) >= self._limit)

    async def _raise_stock(self) -> None:
        if not self._sku:
            await self._add_product()
        sku, self._sku = self._sku, ""  # if there is no answer, nobody knows its stock
        written = await self._write(_RESTOCK, sku=sku, quantity=1)
        self._sku = sku
        self._stock += 1
        data = await self._read("product", _READ_STOCK, written["consistencyToken"], sku)
        shown = data["product"]
        self._judge("product", shown and shown["stockAvailable"] >= self._stock)

    async def _create_customer(self) -> None:
        name = new_word(self._rng)
        written = await self._write(_CREATE, **_named(name))
        data = await self._read("search", _READ_NAME, written["consistencyToken"], name)
        self._judge("search", data["search"]["totalCount"] >= 1)

    def _judge(self, asked: str, is_shown: Any) -> None:
        self._tally.reads[asked] += 1
        if not is_shown:
            self._tally.misses[asked] += 1

    async def _write(self, mutation: str, **fields: Any) -> Mapping[str, Any]:
        answer = await self._connection.ask(mutation, {"input": fields})
        written: Mapping[str, Any] | None = (answer.get("data") or {}).get("write")
        if not written:
            raise RefusedWriteError(str(answer))
        return written

    async def _read(self, asked: str, query: str, token: str, of: str) -> dict[str, Any]:
        """Ask until there is an answer; a refused one says that the write is on its way."""
        began_s = time.monotonic()
        while True:
            answer = await self._connection.ask(query, {"token": token, "of": of})
            if answer.get("data") is not None and "errors" not in answer:
                break
            if time.monotonic() - began_s > HELD_S:
                raise NeverHeldError(f"{asked} is refused for {HELD_S} s: {answer}")
            self._tally.refused += 1
            await asyncio.sleep(AWAY_S)
        waited_ms = (time.monotonic() - began_s) * 1000
        self._tally.waits_ms.setdefault(asked, Sample()).add(waited_ms)
        data: dict[str, Any] = answer["data"]
        return data


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "email": "token@acme.example", "creditLimit": _money(_START)}


def _money(whole: int) -> dict[str, str]:
    return {"amount": f"{whole}.00", "currency": CURRENCY}
