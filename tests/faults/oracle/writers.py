"""Writers: commit through the services' own handlers and databases, each commit in a bracket."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from string import ascii_lowercase
from typing import Any

import msgspec
from sqlalchemy import Connection

from slackwater.errors import SlackwaterError, TransientError, UnknownOutcomeError
from slackwater.events.event import Cause
from slackwater.installation import Installation
from slackwater.outbox.relay import outbox_bell
from slackwater.service.commands import execute
from tests.faults.oracle.registers import Bracket, Commit, Register

LIMIT_MINOR = 100_000_000
STOCK = 1_000_000
CURRENCY = "EUR"
ORDERED = "ORACLE-ORDERED"
_WORD_LETTERS = 14


class _RolledBackError(Exception):
    """Takes back what was written."""


class RefusedError(SlackwaterError):
    """A service refused what the oracle wrote; mend the oracle."""


class WriteSide:
    """Stands beside the services' own processes, as another instance of each."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def run(
        self,
        service_name: str,
        command_name: str,
        *,
        register: Register | None = None,
        held_s: float = 0.0,
        rolled_back: bool = False,
        **fields: Any,
    ) -> tuple[Commit, Any]:
        """Run one command in a transaction; return its bracket and its answer.

        Args:
            service_name: whose command it is.
            command_name: as the service calls it.
            register: what the command raises, if that is watched.
            held_s: how long the transaction stays open after its work.
            rolled_back: take everything back at the end instead of committing it.
            fields: the command's.
        """
        service = self._installation.service(service_name)
        [command] = [each for each in service.commands if each.name == command_name]
        body = msgspec.convert(fields, command.body)

        def work(connection: Connection) -> Any:
            now = self._installation.clock.now()
            unit = service.unit_of_work(connection, cause=Cause.start(actor="oracle"), now=now)
            answer = execute(unit, service.tables, command, body, None)
            if held_s:
                time.sleep(held_s)  # on a thread of the database's; the transaction stays open
            if rolled_back:
                raise _RolledBackError
            return answer

        bracket = Bracket(None if rolled_back else register)
        try:
            answer = await self._installation.database(service_name).transact(bracket.sending(work))
        except _RolledBackError:
            return bracket.returned(), None
        commit = bracket.returned()
        self._installation.doorbell.ring(outbox_bell(service_name))
        content = msgspec.json.decode(answer.content)
        if answer.status != 200:
            raise RefusedError(f"{command_name} was refused: {content}; mend the oracle")
        return commit, content


class Writer:
    """Raises one register, step by step."""

    def __init__(self, side: WriteSide, register: Register) -> None:
        self.register = register
        self._side = side
        self._turn = asyncio.Lock()

    async def step(self, *, rests_s: float = 0.0, **how: Any) -> None:
        """Commit one event, then do nothing for a while; a lost race is a step not taken.

        Args:
            rests_s: how long nothing follows.
            how: goes to `WriteSide.run`.
        """
        async with self._turn:
            register = self.register
            try:
                commit, answer = await self._write(register=register, **how)
            except TransientError as error:
                if isinstance(error, UnknownOutcomeError):
                    raise
                register.open_since_s = None
                return
            if answer is not None:
                register.commits.append(commit)
                register.open_since_s = None
                await self._follow_up(answer)
            await asyncio.sleep(rests_s)

    async def _write(self, **how: Any) -> tuple[Commit, Any]:
        raise NotImplementedError

    async def _follow_up(self, answer: Any) -> None:
        """Do what comes after the commit and raises no register."""


class LimitWriter(Writer):
    """Raises a customer's credit limit by one cent a step."""

    async def _write(self, **how: Any) -> tuple[Commit, Any]:
        limit = {"minor": LIMIT_MINOR + self.register.value + 1, "currency": CURRENCY}
        fields = {"customer_id": self.register.key, "credit_limit": limit}
        return await self._side.run("customers", "change-credit-limit", **fields, **how)


class StockWriter(Writer):
    """Raises a product's stock by one a step."""

    async def _write(self, **how: Any) -> tuple[Commit, Any]:
        fields = {"sku": self.register.key, "quantity": 1}
        return await self._side.run("inventory", "restock-product", **fields, **how)


class OrderWriter(Writer):
    """Places one order of a customer a step."""

    async def _write(self, **how: Any) -> tuple[Commit, Any]:
        lines = [{"sku": ORDERED, "quantity": 1}]
        fields = {"customer_id": self.register.key, "lines": lines}
        return await self._side.run("orders", "place-order", **fields, **how)


class NameWriter(Writer):
    """Creates one more customer a step, each with a name that nobody else has.

    A second event follows at once: whoever takes it for the first one loses the name. Counting hits
    of a common word would not do, as a younger one that is missing could stand for an older one.
    """

    def __init__(self, side: WriteSide, named: deque[Register], rng: random.Random) -> None:
        super().__init__(side, Register(new_word(rng)))
        self._named = named
        self._rng = rng

    async def _write(self, **how: Any) -> tuple[Commit, Any]:
        self._named.append(self.register)
        named = customer_named(self.register.key)
        self.register = Register(new_word(self._rng))
        return await self._side.run("customers", "create-customer", **named, **how)

    async def _follow_up(self, answer: Any) -> None:
        limit = {"minor": LIMIT_MINOR + 1, "currency": CURRENCY}
        changed = {"customer_id": answer["customer"]["id"], "credit_limit": limit}
        with suppress(TransientError):
            await self._side.run("customers", "change-credit-limit", **changed)


def new_word(rng: random.Random) -> str:
    """Return a word that no fuzzy search takes for another one."""
    return "".join(rng.choices(ascii_lowercase, k=_WORD_LETTERS))


def customer_named(name: str) -> dict[str, Any]:
    limit = {"minor": LIMIT_MINOR, "currency": CURRENCY}
    return {"name": name, "email": "oracle@acme.example", "credit_limit": limit}


def product(sku: str) -> dict[str, Any]:
    price = {"minor": 100, "currency": CURRENCY}
    return {"sku": sku, "name": f"Thing {sku}", "price": price, "stock": STOCK}


async def new_customers(side: WriteSide, names: Sequence[str]) -> list[str]:
    """Create customers; return their ids."""
    answers = [await side.run("customers", "create-customer", **customer_named(n)) for n in names]
    return [answer["customer"]["id"] for _, answer in answers]
