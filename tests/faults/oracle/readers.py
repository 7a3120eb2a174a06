"""Readers: ask the gateway for many registers at once, and check each entry of its freshness."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.client import Connection
from tests.faults.oracle.registers import Register, oldest_missing
from tests.faults.oracle.verdicts import Check, Tally
from tests.faults.oracle.writers import LIMIT_MINOR, STOCK

LOOK_UPS = 4
LIST_MAX = 100

Shown = list[tuple[Register, int]]


@dataclass
class World:
    """All registers, by what shows them."""

    limits: dict[str, Register] = field(default_factory=dict)
    """By customer id."""
    orders: dict[str, Register] = field(default_factory=dict)
    """By customer id."""
    stocks: dict[str, Register] = field(default_factory=dict)
    """By sku."""
    words: dict[str, Register] = field(default_factory=dict)
    """By the word that is searched for."""

    def customers_of(self, rng: random.Random) -> list[str]:
        return rng.sample(sorted(self.limits), LOOK_UPS)

    def skus_of(self, rng: random.Random) -> list[str]:
        return rng.sample(sorted(self.stocks), LOOK_UPS)


@dataclass(frozen=True)
class Question:
    """A query, and what each of its entries shows, by path, once the answer is there."""

    text: str
    shown: Callable[[dict[str, Any]], dict[tuple[str, ...], Shown]]


def question(world: World, rng: random.Random) -> Question:
    """Return look-ups of some customers and products, one list of all, and one search."""
    customers, skus, word = world.customers_of(rng), world.skus_of(rng), rng.choice([*world.words])
    lists_customers = rng.random() < 0.5
    parts = [
        *(
            f'c{n}: customer(id: "{_global_id(key)}") {{ creditLimit {{ amount }} orderCount }}'
            for n, key in enumerate(customers)
        ),
        *(f'p{n}: product(sku: "{sku}") {{ stockAvailable }}' for n, sku in enumerate(skus)),
        f"customers(first: {LIST_MAX}) {{ edges {{ node {{ id creditLimit {{ amount }} }} }} }}"
        if lists_customers
        else f"products(first: {LIST_MAX}) {{ edges {{ node {{ sku stockAvailable }} }} }}",
        f'search(text: "{word}") {{ totalCount }}',
    ]

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
        found["search",] = [(world.words[word], data["search"]["totalCount"])]
        return found

    return Question("{ " + " ".join(parts) + " }", shown)


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
        began_s = time.monotonic()
        answer = await self._connection.ask(asked.text, {})
        self._tally.requests += 1
        if answer.get("data") is None or "errors" in answer:
            self._tally.refused += 1
            return
        for check in checks(asked, answer, began_s, faults):
            self._tally.add(check)

    def close(self) -> None:
        self._connection.close()


def checks(
    asked: Question, answer: dict[str, Any], began_s: float, faults: Sequence[str]
) -> Iterator[Check]:
    """Yield a check for each entry of which the oracle knows what it covers."""
    shown = asked.shown(answer["data"])
    for entry in answer["extensions"]["freshness"]["fields"]:
        path = tuple(entry["path"])
        if path in shown:
            yield Check(
                path="/".join(path),
                read_model=str(entry["readModel"]),
                began_s=began_s,
                bound_ms=entry["maxStalenessMs"],
                missing=oldest_missing(shown[path]),
                faults=faults,
            )


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
