"""PostgreSQL fails over to a standby without the last commits, while a service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from slackwater.database.history import read_history
from slackwater.database.postgresql import PostgresqlDatabase
from tests.end_to_end.harness import Answer, Running, Store, running, until
from tests.faults.postgresql_pair import promote, running_pair

pytestmark = [
    pytest.mark.engine("postgresql"),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

_CUSTOMER = "query ($id: ID!) { customer(id: $id) { name } }"
_BACK_S = 60.0


def _tick(installation: Running) -> dict[str, Any] | None:
    """Return what the customers service tells of its tick, if it can."""
    try:
        told = httpx2.get(f"http://127.0.0.1:{installation.port + 1}/internal/tick", timeout=10)
    except httpx2.HTTPError:
        return None
    tick: dict[str, Any] = told.json()
    return tick if told.status_code == 200 else None


def _named(store: Store, customer: str, token: str) -> Answer:
    return store.ask(_CUSTOMER, {"id": customer}, after=[token])


def _created(store: Store, name: str) -> tuple[str, str] | None:
    """Create a customer, once the service has a server again; return it and its token."""
    fields = {
        "name": name,
        "email": "orders@acme.example",
        "creditLimit": {"amount": "1.00", "currency": "EUR"},
    }
    answer = store.ask(
        "mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) {"
        " ... on CreateCustomerSuccess { customer { id } consistencyToken } } }",
        {"input": fields},
        {"Idempotency-Key": name},
    )
    if answer.codes:
        return None
    payload = answer.data["createCustomer"]
    return payload["customer"]["id"], payload["consistencyToken"]


def test_nothing_is_told_in_a_timeline_that_a_failover_has_cut_off(tmp_path: Path) -> None:
    """The relay stands still, so that nobody but the service can find out."""
    with (
        running_pair() as pair,
        running(
            tmp_path / "data", "--processes", settings={"SLACKWATER_POSTGRESQL_URL": pair.url}
        ) as installation,
    ):
        store = installation.store
        store.create_customer("Kept")
        pair.leave_standby_behind()
        for number in range(5):  # each with ticks that read models reach and the standby lacks
            lost = store.create_customer(f"Lost {number}")
            assert store.customer(lost)["name"] == f"Lost {number}"
        before = _tick(installation)
        assert before is not None

        with installation.paused("relay customers"):
            pair.fail_over()
            customer, token = until(lambda: _created(store, "New"), bool, _BACK_S)
            told = until(lambda: _tick(installation), bool, _BACK_S)
            assert told["timeline"] != before["timeline"]
            answer = _named(store, customer, token)
            assert answer.codes, f"a token was met without its write: {answer.body}"
        until(lambda: _named(store, customer, token).codes, lambda codes: codes, _BACK_S)
        assert installation.command("rebuild", "customer_orders").returncode == 0
        named = until(lambda: _named(store, customer, token), lambda each: not each.codes, _BACK_S)
        assert named.data["customer"]["name"] == "New"


async def test_standbys_that_take_over_from_the_same_server_write_histories_of_their_own() -> None:
    """The number of their timelines in the write-ahead log is the same."""
    histories = []
    with running_pair() as pair, pair.another_standby() as another:
        pair.fail_over()
        promote(another)
        for url in (pair.standby_url, another):
            database = PostgresqlDatabase(url)
            histories.append(await database.read(read_history))
            assert await database.read(read_history) == histories[-1]
            await database.close()
    [timeline, _], [same_timeline, _] = (history.split() for history in histories)
    assert timeline == same_timeline == "00000002"
    assert len({*histories}) == 2
