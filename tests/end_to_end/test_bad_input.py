"""Bad input gets a clear, coded error; nothing is lost or half done."""

from __future__ import annotations

import httpx2
import pytest

from tests.end_to_end.harness import Store

_ACCEPT = {"Accept": "application/graphql-response+json"}


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{ customers { ", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int) { customers(first: $n) { edges { cursor } } }", {"n": "x"}, None),
        ('{ customer(id: "not an id") { name } }', {}, "BAD_USER_INPUT"),
        ('{ order(id: "Q3VzdG9tZXI6MQ==") { status } }', {}, "BAD_USER_INPUT"),
        ("{ customers(first: -1) { edges { cursor } } }", {}, "BAD_USER_INPUT"),
        ("{ customers(first: 1000) { edges { cursor } } }", {}, "BAD_USER_INPUT"),
        ('{ orders(after: "broken") { edges { cursor } } }', {}, "BAD_USER_INPUT"),
        ('{ search(text: "x", after: "broken") { totalCount } }', {}, "BAD_USER_INPUT"),
        ('query @readAfter(tokens: ["forged"]) { readModels { name } }', {}, None),
    ],
)
def test_a_bad_query_is_told_what_is_wrong(
    store: Store, query: str, variables: dict[str, object], code: str | None
) -> None:
    answer = store.ask(query, variables)
    assert answer.codes, answer.body
    assert set(answer.codes) <= {code or answer.codes[0]}
    assert "INTERNAL_SERVER_ERROR" not in answer.codes


def test_a_forged_or_broken_token_is_refused(store: Store) -> None:
    token = store.add_product("FORGED")
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    for bad in (forged, "x", "ä", "A" * 5_000):
        query = "query ($t: [String!]) @readAfter(tokens: $t) { customers { edges { cursor } } }"
        assert store.ask(query, {"t": [bad]}).codes == ["INVALID_CONSISTENCY_TOKEN"]
    header = {"Slackwater-Consistency-Token": forged}
    answer = store.ask("{ customers { edges { cursor } } }", headers=header)
    assert answer.codes == ["INVALID_CONSISTENCY_TOKEN"]


def test_refused_inputs_change_nothing(store: Store) -> None:
    store.add_product("GUARDED", stock=10)
    customer = store.create_customer()
    for quantity in (0, -1, 10_000_000):
        refused = store.place_order(customer, "GUARDED", quantity=quantity)
        assert refused["code"] == "INVALID_INPUT", refused
    lines = {"customerId": customer, "lines": []}
    assert store.mutate("placeOrder", lines)["code"] == "INVALID_INPUT"
    money = {"amount": "1.005", "currency": "EUR"}
    limit = {"customerId": customer, "creditLimit": money}
    assert store.mutate("changeCreditLimit", limit)["code"] == "INVALID_INPUT"
    assert store.mutate("restockProduct", {"sku": "GUARDED", "quantity": -5})["code"] == (
        "INVALID_INPUT"
    )
    assert store.mutate("cancelOrder", {"orderId": customer})["code"] == "INVALID_INPUT"
    assert store.stock("GUARDED") == 10
    assert store.customer(customer)["orderCount"] == 0


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"not json", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"query": "{ readModels { name } }"}', "text/plain", 415),
        (b'{"query": "' + b" " * 2_000_000 + b'"}', "application/json", 413),
    ],
)
def test_a_bad_request_is_refused_with_a_code(
    store: Store, content: bytes, content_type: str, status: int
) -> None:
    headers = {**_ACCEPT, "Content-Type": content_type}
    response = httpx2.post(f"{store.url}/graphql", content=content, headers=headers)
    assert response.status_code == status
    assert response.json()["errors"][0]["extensions"]["code"]


def test_the_same_key_with_another_input_is_refused(store: Store) -> None:
    store.add_product("KEYED")
    customer = store.create_customer()
    store.place_order(customer, "KEYED", quantity=1, key="one-key")
    mutation = "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename } }"
    other = {"customerId": customer, "lines": [{"sku": "KEYED", "quantity": 2}]}
    answer = store.ask(mutation, {"input": other}, {"Idempotency-Key": "one-key"})
    assert answer.codes == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
