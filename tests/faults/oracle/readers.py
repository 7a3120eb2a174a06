"""Readers: ask the gateway for many registers at once, and check each entry of its freshness."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from benchmarks.client import Connection
from slackwater.clock import SystemClock
from tests.faults.oracle.registers import Register, all_missing
from tests.faults.oracle.verdicts import Check, Tally
from tests.faults.oracle.writers import LIMIT_MINOR, STOCK

LOOK_UPS = 3
SEARCHES = 2
NAMES_MAX = 40
ONLY_DOCUMENTS = 0.3
AWAY_S = 0.2

_CUSTOMER = "{0}: customer(id: ${0}) {{ creditLimit {{ amount }} orderCount }}"
_PRODUCT = "{0}: product(sku: ${0}) {{ stockAvailable }}"
_SEARCH = "{0}: search(text: ${0}, kinds: [CUSTOMER]) {{ totalCount }}"
_CUSTOMERS = "customers(first: 100) { edges { node { id creditLimit { amount } } } }"
_PRODUCTS = "products(first: 100) { edges { node { sku stockAvailable } } }"

Shown = list[tuple[Register, int]]
_clock = SystemClock()


@dataclass
class World:
    """All registers, by what shows them."""

    limits: dict[str, Register] = field(default_factory=dict)
    """By customer id."""
    orders: dict[str, Register] = field(default_factory=dict)
    """By customer id."""
    stocks: dict[str, Register] = field(default_factory=dict)
    """By sku."""
    names: deque[Register] = field(default_factory=lambda: deque(maxlen=NAMES_MAX))
    """The newest names of customers, each by itself."""

    def customers_of(self, rng: random.Random) -> list[str]:
        return rng.sample(sorted(self.limits), LOOK_UPS)

    def skus_of(self, rng: random.Random) -> list[str]:
        return rng.sample(sorted(self.stocks), LOOK_UPS)

    def names_of(self, rng: random.Random) -> list[Register]:
        return rng.sample(list(self.names), min(SEARCHES, len(self.names)))


@dataclass(frozen=True)
class Question:
    """A query, and what each of its entries shows, by path, once the answer is there."""

    text: str
    variables: dict[str, str]
    shown: Callable[[dict[str, Any]], dict[tuple[str, ...], Shown]]


def question(world: World, rng: random.Random) -> Question:
    """Return look-ups of some customers and products, one list of all, and mostly searches."""
    customers, skus = world.customers_of(rng), world.skus_of(rng)
    names = world.names_of(rng) if rng.random() > ONLY_DOCUMENTS else []
    lists_customers = rng.random() < 0.5
    variables = {
        **{f"c{n}": _global_id(key) for n, key in enumerate(customers)},
        **{f"p{n}": sku for n, sku in enumerate(skus)},
        **{f"s{n}": name.key for n, name in enumerate(names)},
    }

    def shown(data: dict[str, Any]) -> dict[tuple[str, ...], Shown]:
        found: dict[tuple[str, ...], Shown] = {}
        for n, key in enumerate(customers):
            customer = data[f"c{n}"]
            found[f"c{n}",] = [(world.limits[key], _limit(customer))]
            if customer is not None:
                found[f"c{n}", "orderCount"] = [(world.orders[key], customer["orderCount"])]
        for n, sku in enumerate(skus):
            found[f"p{n}",] = [(world.stocks[sku], _stock(data[f"p{n}"]))]
        if lists_customers:
            found["customers",] = _listed(data["customers"], world.limits, _customer_key, _limit)
        else:
            found["products",] = _listed(data["products"], world.stocks, _sku, _stock)
        for n, name in enumerate(names):
            found[f"s{n}",] = [(name, data[f"s{n}"]["totalCount"])]
        return found

    return Question(_text(lists_customers, len(names)), variables, shown)


@cache
def _text(lists_customers: bool, searches: int) -> str:
    look_ups = {
        **{f"c{n}: ID!": _CUSTOMER.format(f"c{n}") for n in range(LOOK_UPS)},
        **{f"p{n}: String!": _PRODUCT.format(f"p{n}") for n in range(LOOK_UPS)},
        **{f"s{n}: String!": _SEARCH.format(f"s{n}") for n in range(searches)},
    }
    declared = ", ".join(f"${each}" for each in look_ups)
    listed = _CUSTOMERS if lists_customers else _PRODUCTS
    return f"query ({declared}) {{ {' '.join(look_ups.values())} {listed} }}"


class Reader:
    """One client that asks again and again."""

    def __init__(
        self,
        port: int,
        world: World,
        tally: Tally,
        *,
        seed: int,
        faults: Callable[[], Collection[str]],
    ) -> None:
        self._connection = Connection(port)
        self._world = world
        self._tally = tally
        self._rng = random.Random(seed)
        self._faults = faults

    async def ask(self) -> None:
        """Ask one question, and check every entry of its answer."""
        asked = question(self._world, self._rng)
        faults = tuple(self._faults())
        asked_s = _clock.monotonic()
        try:
            answer = await self._connection.ask(asked.text, asked.variables)
        except (OSError, asyncio.IncompleteReadError):  # the gateway was killed
            self._tally.refused["AWAY"] += 1
            await asyncio.sleep(AWAY_S)
            return
        if answer.get("data") is None or "errors" in answer:
            self._tally.refused[_code(answer)] += 1
            return
        self._tally.requests += 1
        self._check(asked, answer, faults, (asked_s, _clock.monotonic()))

    def _check(
        self,
        asked: Question,
        answer: dict[str, Any],
        faults: Sequence[str],
        within_s: tuple[float, float],
    ) -> None:
        """Check an answer that was asked for and came at these instants."""
        shown = asked.shown(answer["data"])
        entries = {
            tuple(entry["path"]): entry for entry in answer["extensions"]["freshness"]["fields"]
        }
        for path, values in shown.items():
            entry = _covering(path, entries)
            if entry is None:
                self._tally.uncovered += 1
                continue
            self._tally.untimely += not within_s[0] <= entry["toldS"] <= within_s[1]
            self._tally.phantoms += sum(register.is_phantom(value) for register, value in values)
            self._tally.add(
                Check(
                    path="/".join(path),
                    read_model=str(entry["readModel"]),
                    told_s=entry["toldS"],
                    bound_ms=entry["maxStalenessMs"],
                    missing=all_missing(values),
                    faults=faults,
                )
            )

    def close(self) -> None:
        self._connection.close()


def _code(answer: dict[str, Any]) -> str:
    """Return the code of the first error of an answer that has no data."""
    errors = answer.get("errors") or [{}]
    return str(errors[0].get("extensions", {}).get("code", answer))


def _covering(
    path: tuple[str, ...], entries: Mapping[tuple[str, ...], dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the entry that speaks of a path: its own, or the nearest one further up."""
    prefixes = (path[:length] for length in range(len(path), 0, -1))
    return next((entries[each] for each in prefixes if each in entries), None)


def _listed(
    connection: dict[str, Any],
    registers: dict[str, Register],
    key_of: Callable[[dict[str, Any]], str],
    value_of: Callable[[dict[str, Any]], int],
) -> Shown:
    nodes = {key_of(edge["node"]): edge["node"] for edge in connection["edges"]}
    return [(register, value_of(nodes.get(key))) for key, register in registers.items()]  # type: ignore[arg-type]


def _limit(customer: dict[str, Any] | None) -> int:
    if customer is None:
        return 0
    return round(float(customer["creditLimit"]["amount"]) * 100) - LIMIT_MINOR


def _stock(product: dict[str, Any] | None) -> int:
    return product["stockAvailable"] - STOCK if product is not None else 0


def _sku(product: dict[str, Any]) -> str:
    return str(product["sku"])


def _customer_key(customer: dict[str, Any]) -> str:
    return base64.b64decode(customer["id"]).decode().partition(":")[2]


def _global_id(customer_id: str) -> str:
    return base64.b64encode(f"Customer:{customer_id}".encode()).decode()
