"""What becomes of a command whose commit was sent and whose answer was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar, cast

import httpx2
import pytest
from sqlalchemy import Connection

from slackwater.database.port import Database
from slackwater.errors import TransientError, UnknownOutcomeError
from slackwater.testing.relay_contract import SessionAround
from tests.integration.service_bench import OpenDatabase, ServiceBench, running
from write_services.customers.service import service

T = TypeVar("T")

ADA = {"name": "Ada", "email": "ada@example.com", "credit_limit": {"minor": 1, "currency": "EUR"}}


class LosingDatabase(SessionAround):
    """Commits, and loses the first answer."""

    has_lost = False

    async def transact(self, work: Callable[[Connection], T]) -> T:
        outcome = await super().transact(work)
        if not self.has_lost:
            self.has_lost = True
            raise UnknownOutcomeError("the answer was lost; look before you repeat")
        return outcome


@pytest.fixture
async def customers(open_database: OpenDatabase) -> AsyncIterator[ServiceBench]:
    async with running(service, open_database) as bench:
        yield bench


class BlindDatabase(SessionAround):
    """Commits, and cannot be read for a while afterwards."""

    def __init__(self, database: Database, failures: int) -> None:
        super().__init__(database)
        self.failures = failures

    async def read(self, work: Callable[[Connection], T]) -> T:
        self.failures -= 1
        if self.failures >= 0:
            raise TransientError("busy; try again")
        return await super().read(work)


async def post(
    customers: ServiceBench, headers: dict[str, str], database: object = None
) -> httpx2.Response:
    before = cast("Database", database or LosingDatabase(customers.database))
    return await customers.post("create-customer", ADA, headers=headers, database=before)


async def test_a_command_with_a_key_is_asked_what_became_of_it(customers: ServiceBench) -> None:
    answer = await post(customers, {"Idempotency-Key": "key-1"})
    assert answer.status_code == 200
    assert [fact.id for fact in await customers.facts("customer")] == [
        answer.json()["result"]["customer"]["id"]
    ]


async def test_a_command_without_a_key_is_not_repeated_and_its_client_is_told(
    customers: ServiceBench,
) -> None:
    answer = await post(customers, {})
    assert (answer.status_code, answer.json()["code"]) == (503, "OUTCOME_UNKNOWN")
    assert "look before you repeat" in answer.json()["detail"]
    assert "Retry-After" not in answer.headers
    assert len(await customers.facts("customer")) == 1


async def test_a_token_that_cannot_be_read_at_once_is_read_again(customers: ServiceBench) -> None:
    answer = await post(customers, {}, BlindDatabase(customers.database, failures=2))
    assert answer.status_code == 200
    assert len(await customers.facts("customer")) == 1


async def test_a_command_whose_token_cannot_be_read_is_not_to_be_repeated_blindly(
    customers: ServiceBench,
) -> None:
    answer = await post(customers, {}, BlindDatabase(customers.database, failures=1_000))
    assert (answer.status_code, answer.json()["code"]) == (503, "OUTCOME_UNKNOWN")
    assert len(await customers.facts("customer")) == 1
