"""The store from a client's side: placing, deciding, cancelling and shipping orders."""

from __future__ import annotations

import base64
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.end_to_end.harness import Running, Store, until

_numbers = itertools.count()


@pytest.fixture
def sku(store: Store) -> str:
    """A product of its own, at 10 EUR, 100 in stock, known to everybody."""
    sku = f"SKU-{next(_numbers)}"
    store.add_product(sku)
    return sku


def test_an_order_is_approved_and_shown_joined_with_its_customer(store: Store, sku: str) -> None:
    customer = store.create_customer("Northwind", limit="100.00")
    placed = store.place_order(customer, sku, quantity=3)
    assert placed["order"]["status"] == "PENDING"

    order = store.decided(placed["order"]["id"])
    assert order["status"] == "APPROVED"
    joined = until(lambda: store.order(order["id"])["customer"], bool)
    assert joined["name"] == "Northwind"
    assert order["processing"] is None
    shown = until(
        lambda: store.customer(customer), lambda c: c["creditReserved"]["amount"] == "30.00"
    )
    assert shown["creditAvailable"]["amount"] == "70.00"
    assert shown["orderTotal"]["amount"] == "30.00"
    until(lambda: store.stock(sku), lambda stock: stock == 97)


def test_an_order_over_the_credit_limit_is_rejected_and_reserves_nothing(
    store: Store, sku: str
) -> None:
    customer = store.create_customer(limit="15.00")
    order = store.decided(store.place_order(customer, sku, quantity=2)["order"]["id"])
    assert (order["status"], order["rejectionReason"]) == ("REJECTED", "CREDIT_LIMIT_EXCEEDED")
    until(lambda: store.stock(sku), lambda stock: stock == 100)
    assert store.customer(customer)["creditReserved"]["amount"] == "0.00"


def test_an_order_over_the_stock_is_rejected_and_reserves_nothing(store: Store, sku: str) -> None:
    customer = store.create_customer(limit="100000.00")
    order = store.decided(store.place_order(customer, sku, quantity=101)["order"]["id"])
    assert (order["status"], order["rejectionReason"]) == ("REJECTED", "OUT_OF_STOCK")
    until(
        lambda: store.customer(customer)["creditReserved"]["amount"],
        lambda reserved: reserved == "0.00",
    )
    assert store.stock(sku) == 100


def test_an_order_of_an_unknown_customer_is_rejected(store: Store, sku: str) -> None:
    stranger = base64.b64encode(b"Customer:01999999-0000-7000-8000-000000000000").decode()
    order = store.decided(store.place_order(stranger, sku)["order"]["id"])
    assert order["rejectionReason"] == "UNKNOWN_CUSTOMER"
    assert order["customer"] is None


def test_an_unknown_product_is_refused(store: Store) -> None:
    payload = store.place_order(store.create_customer(), "no-such-sku")
    assert payload["__typename"] == "ProductNotFound"


def test_cancelling_gives_credit_and_stock_back(store: Store, sku: str) -> None:
    customer = store.create_customer()
    order_id = store.place_order(customer, sku, quantity=5)["order"]["id"]
    store.decided(order_id)
    cancelled = store.mutate("cancelOrder", {"orderId": order_id, "reason": "changed our minds"})
    assert cancelled["order"]["status"] == "CANCELLED"
    until(
        lambda: store.customer(customer)["creditReserved"]["amount"],
        lambda reserved: reserved == "0.00",
    )
    until(lambda: store.stock(sku), lambda stock: stock == 100)


def test_shipping_releases_credit_and_takes_the_stock(store: Store, sku: str) -> None:
    customer = store.create_customer()
    order_id = store.place_order(customer, sku, quantity=5)["order"]["id"]
    store.decided(order_id)
    assert store.mutate("shipOrder", {"orderId": order_id})["order"]["status"] == "SHIPPED"
    until(
        lambda: store.customer(customer)["creditReserved"]["amount"],
        lambda reserved: reserved == "0.00",
    )
    assert store.stock(sku) == 95
    late = store.mutate("cancelOrder", {"orderId": order_id})
    assert late["__typename"] == "OrderNotCancellable"


def test_a_later_page_of_a_search_claims_nothing_of_what_came_after_the_first(
    store: Store,
) -> None:
    def page(after: str | None, *tokens: str) -> tuple[Any, int | None]:
        answer = store.ask(
            """query ($after: String) { search(text: "paged", first: 1, after: $after) {
              totalCount pageInfo { endCursor } } }""",
            {"after": after},
            after=tokens,
        )
        [entry] = [each for each in answer.freshness["fields"] if each["path"] == ["search"]]
        return answer.data["search"], entry["maxStalenessMs"]

    tokens = [store.add_product(f"PAGED-{n}", wait=False) for n in range(3)]
    first, _ = page(None, *tokens)
    cursor = first["pageInfo"]["endCursor"]
    added = store.add_product("PAGED-3")
    found, bound_ms = page(cursor, added)
    assert (found["totalCount"], bound_ms is None) == (4, False)
    found, bound_ms = page(cursor)
    assert (found["totalCount"], bound_ms is None) in ((4, False), (3, True))


def test_concurrent_orders_never_overspend_or_oversell(store: Store) -> None:
    store.add_product("SCARCE", stock=12)
    store.add_product("PLENTY", stock=1_000)
    customer = store.create_customer(limit="150.00")

    def place(number: int) -> str:
        sku = "SCARCE" if number % 2 else "PLENTY"
        order_id: str = store.place_order(customer, sku, quantity=2)["order"]["id"]
        return order_id

    with ThreadPoolExecutor(20) as clients:
        orders = [store.decided(order_id) for order_id in clients.map(place, range(20))]
    approved = [order for order in orders if order["status"] == "APPROVED"]
    assert 0 < len(approved) <= 7
    until(
        lambda: store.customer(customer)["creditReserved"]["amount"],
        lambda reserved: reserved == f"{len(approved) * 20}.00",
    )
    until(
        lambda: (12 - store.stock("SCARCE") + 1_000 - store.stock("PLENTY")) // 2,
        lambda taken: taken == len(approved),
    )


def test_a_repeated_idempotency_key_places_one_order(store: Store, sku: str) -> None:
    customer = store.create_customer()
    first = store.place_order(customer, sku, key="the-same")
    again = store.place_order(customer, sku, key="the-same")
    assert first["order"]["id"] == again["order"]["id"]
    shown = store.customer(customer, token=again["consistencyToken"])
    assert shown["orderCount"] == 1


def test_a_repeated_answer_claims_nothing_of_the_present(store: Store, sku: str) -> None:
    order = {"customerId": store.create_customer(), "lines": [{"sku": sku, "quantity": 1}]}
    mutation = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) {
      ... on PlaceOrderSuccess { order { id status } } } }"""
    headers = {"Idempotency-Key": "repeated"}
    told = []
    for _ in range(2):
        answer = store.ask(mutation, {"input": order}, headers)
        store.decided(answer.data["placeOrder"]["order"]["id"])
        [entry] = answer.freshness["fields"]
        told.append((entry["servedFrom"], entry["status"], entry["maxStalenessMs"] is None))
    assert told == [("SOURCE", "LIVE", False), ("CACHE", "UNKNOWN", True)]


def test_search_finds_products_orders_and_customers(store: Store) -> None:
    added = store.add_product("ANVIL-9")
    customer = store.create_customer("Roadrunner Logistics")
    order = store.place_order(customer, "ANVIL-9")
    answer = store.ask(
        'query { search(text: "anvil") { totalCount edges { score highlights { field snippets } '
        "node { __typename ... on Order { id } ... on Product { sku } } } } }",
        after=[added, order["consistencyToken"]],
    )
    kinds = {edge["node"]["__typename"] for edge in answer.data["search"]["edges"]}
    assert kinds == {"Product", "Order"}
    assert any(
        "<em>" in s
        for e in answer.data["search"]["edges"]
        for h in e["highlights"]
        for s in h["snippets"]
    )
    found = store.ask('{ search(text: "roadr", kinds: [CUSTOMER]) { totalCount } }')
    assert found.data["search"]["totalCount"] == 1


def test_history_and_the_past_are_served_by_the_order_itself(store: Store, sku: str) -> None:
    order_id = store.place_order(store.create_customer(), sku)["order"]["id"]
    store.decided(order_id)
    history = store.ask(
        "query ($id: ID!) { orderHistory(id: $id) { type version recordedAt correlationId } }",
        {"id": order_id},
    ).data["orderHistory"]
    assert history[0]["type"].endswith("order-placed")
    assert [event["version"] for event in history] == list(range(1, len(history) + 1))
    assert len({event["correlationId"] for event in history}) == 1
    past = store.ask(
        "query ($id: ID!, $asOf: DateTime) { order(id: $id, asOf: $asOf) { status } }",
        {"id": order_id, "asOf": history[0]["recordedAt"]},
    )
    assert past.data["order"]["status"] == "PENDING"


def test_read_models_equal_what_the_services_say(installation: Running) -> None:
    checked = until(installation.verify, lambda checked: checked.returncode == 0, timeout_s=60)
    assert "customer_orders: equal" in checked.stdout
