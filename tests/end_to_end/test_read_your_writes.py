"""Tokens: what a client has written is in its next read, or the read says that it is not.

On the real engines one after another takes long: `READ_WRITES=1000` asks as much of them by hand.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Store, running

WRITES = {
    "embedded": 1_000,
    "engines": int(os.environ.get("READ_WRITES", "200")),
}
CLIENTS = 10
READ = "query ($id: ID!) { customer(id: $id) { orders(first: 30) { edges { node { id } } } } }"


def _order_ids(customer: dict[str, object]) -> set[str]:
    edges = customer["orders"]["edges"]  # type: ignore[index]
    return {edge["node"]["id"] for edge in edges}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_read_with_the_token_never_misses_the_write(store: Store, storage: str) -> None:
    writes = WRITES[storage]
    store.add_product("TOKEN", stock=1_000_000)
    port = int(store.url.rsplit(":", 1)[1])

    def write_and_read(number: int) -> Counter[str]:
        client = Store(port)
        customer = client.create_customer(f"Reader {number}", limit="1000000.00")
        counts: Counter[str] = Counter()
        for _ in range(writes // CLIENTS):
            placed = client.place_order(customer, "TOKEN")
            shown = _read_with_token(client, customer, placed["consistencyToken"], counts)
            counts["missed"] += placed["order"]["id"] not in _order_ids(shown)
            counts["reads"] += 1
        client.close()
        return counts

    with ThreadPoolExecutor(CLIENTS) as clients:
        counts = sum(clients.map(write_and_read, range(CLIENTS)), Counter[str]())
    print(dict(counts))
    assert counts["reads"] == writes
    assert counts["missed"] == 0


def _read_with_token(
    client: Store, customer: str, token: str, counts: Counter[str]
) -> dict[str, Any]:
    """Read until the write is shown; a slow machine may refuse in time, but never leave it out."""
    while True:
        answer = client.ask(READ, {"id": customer}, after=[client.creation_tokens[customer], token])
        if "errors" not in answer.body:
            customer_shown: dict[str, Any] = answer.data["customer"]
            return customer_shown
        assert answer.codes == ["STALE_READ"]
        counts["refused"] += 1


@pytest.fixture(scope="module")
def slow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    program = (str(Path(__file__).with_name("slow_projectors.py")), "run")
    data_dir = tmp_path_factory.mktemp("slow") / "data"
    with running(data_dir, program=program) as installation:
        store = installation.store
        store.add_product("SLOW", stock=1_000_000)
        yield store


def test_without_a_token_the_bound_covers_every_missed_write(slow_store: Store) -> None:
    customer = slow_store.create_customer(limit="1000000.00")
    missed = 0
    for attempt in range(20):
        placed = slow_store.place_order(customer, "SLOW")
        committed_s = time.monotonic()
        time.sleep(attempt * 0.01)  # reads at many distances from the commit, not a wait for it
        began_s = time.monotonic()
        answer = slow_store.ask(
            READ,
            {"id": customer},
        )
        shown = answer.data["customer"]
        if shown is None or placed["order"]["id"] not in _order_ids(shown):
            missed += 1
            bound_ms = max(entry["maxStalenessMs"] for entry in answer.freshness["fields"])
            assert bound_ms >= (began_s - committed_s) * 1_000
    assert missed > 5, "the projector was not slow enough for this test to mean anything"


def test_with_a_token_a_slow_projector_is_waited_for(slow_store: Store) -> None:
    customer = slow_store.create_customer(limit="1000000.00")
    for _ in range(5):
        placed = slow_store.place_order(customer, "SLOW")
        shown = slow_store.customer(customer, token=placed["consistencyToken"])
        assert placed["order"]["id"] in _order_ids(shown)


def test_with_a_token_the_source_is_asked_at_once_where_that_is_demanded(
    slow_store: Store,
) -> None:
    query = """query ($id: ID!) @freshness(maxStalenessMs: 0, onStale: SOURCE) {
      order(id: $id) { status } }"""
    placed = slow_store.place_order(slow_store.create_customer(limit="1000000.00"), "SLOW")
    answer = slow_store.ask(
        query,
        {"id": placed["order"]["id"]},
        after=[placed["consistencyToken"]],
    )
    assert answer.data["order"]["status"] in ("PENDING", "APPROVED")
    [entry] = answer.freshness["fields"]
    assert (entry["servedFrom"], entry["readModel"]) == ("SOURCE", None)


def test_a_demand_or_a_token_on_a_mutation_asks_nothing_of_its_own_answer(
    slow_store: Store,
) -> None:
    mutation = """mutation ($input: CreateCustomerInput!) {
      createCustomer(input: $input) @freshness(maxStalenessMs: 0, onStale: FAIL) {
        ... on CreateCustomerSuccess { customer { name } consistencyToken } } }"""
    limit = {"amount": "10.00", "currency": "EUR"}
    fields = {"name": "Once", "email": "once@acme.example", "creditLimit": limit}
    first = slow_store.ask(mutation, {"input": fields})
    token = first.data["createCustomer"]["consistencyToken"]
    again = slow_store.ask(mutation, {"input": fields}, after=[token])
    assert again.data["createCustomer"]["customer"]["name"] == "Once"
