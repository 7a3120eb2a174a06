"""`slackwater audit`: the chain from a mutation to the last event, in every service that it met."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.conftest import PUBLISHING
from tests.end_to_end.harness import Running, until

tells_causes = pytest.mark.skipif(
    "ROW_CHANGES" in PUBLISHING["SLACKWATER_PUBLISHING"],
    reason="events inferred from rows do not say who caused them (docs/adr/0021)",
)

TYPES = {
    "orders.order-placed",
    "customers.credit-reserved",
    "inventory.stock-reserved",
    "inventory.product-reserved",
    "orders.credit-agreed",  # or that of the stock, whichever comes first
    "orders.order-approved",
}
SERVICES = ("customers", "inventory", "orders")


def audited(installation: Running, source: str, *options: str) -> list[dict[str, Any]]:
    ran = installation.command("audit", source, "--json", *options)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def chain(installation: Running, correlation: str) -> list[dict[str, Any]]:
    return [
        entry
        for source in SERVICES
        for entry in audited(installation, source, "--correlation", correlation)
    ]


@tells_causes
def test_every_event_of_an_order_leads_back_to_the_mutation(installation: Running) -> None:
    store = installation.store
    store.add_product("AUDIT", stock=5)
    customer = store.create_customer("Audited")
    headers = {"Slackwater-Correlation-Id": "audit-1"}
    line = {"sku": "AUDIT", "quantity": 2}
    answer = store.ask(
        "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename "
        "... on PlaceOrderSuccess { order { id } } } }",
        {"input": {"customerId": customer, "lines": [line]}},
        headers,
    )
    placed: str = answer.data["placeOrder"]["order"]["id"]
    assert store.decided(placed)["status"] == "APPROVED"
    entries = until(lambda: chain(installation, "audit-1"), lambda found: len(found) == len(TYPES))
    assert {entry["type"] for entry in entries} <= TYPES | {"orders.stock-agreed"}
    by_id = {entry["event_id"]: entry for entry in entries}
    [beginning] = [each for each in entries if each["type"] == "orders.order-placed"]
    command, _, request_id = beginning["causation_id"].partition("/")
    assert (command, bool(request_id), beginning["cause"]) == ("place-order", True, None)
    for entry in entries:
        if entry is not beginning:
            cause = by_id[entry["causation_id"]]
            assert entry["cause"]["type"] == cause["type"]
            assert entry["cause"]["version"] == cause["version"]


@tells_causes
def test_no_event_is_without_a_cause(installation: Running) -> None:
    installation.store.create_customer("Caused")
    entries = [each for source in SERVICES for each in audited(installation, source)]
    assert entries
    assert [each for each in entries if not each["causation_id"]] == []


def test_pages_go_on_where_the_last_line_says(installation: Running) -> None:
    for name in ("One", "Two", "Three"):
        installation.store.create_customer(name)
    first = installation.command("audit", "customers", "--json", "--limit", "2")
    after = first.stderr.split()[-1]
    rest = audited(installation, "customers", "--after", after, "--limit", "10000")
    everything = audited(installation, "customers", "--limit", "10000")
    paged = [json.loads(line) for line in first.stdout.splitlines()] + rest
    assert paged == everything[: len(paged)], "more may have come since"


@tells_causes
def test_people_read_sentences(installation: Running) -> None:
    installation.store.add_product("AUDITED")
    told = installation.command("audit", "inventory", "--aggregate", "AUDITED").stdout
    assert "inventory.product-added (product AUDITED v1) by nobody named" in told
    assert "because of add-product/" in told


def test_a_time_that_cannot_be_read_is_refused(installation: Running) -> None:
    refused = installation.command("audit", "orders", "--since", "yesterday")
    assert refused.returncode == 1
    assert "--since is no time in ISO 8601" in refused.stderr
