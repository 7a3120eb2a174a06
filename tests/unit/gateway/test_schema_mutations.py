"""Mutations: what is sent to the services, and what clients get back."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gateway.freshness.served import ServedFrom
from slackwater.watermarks.tick import Tick
from tests.unit.gateway.schema_stage import (
    SIGNER,
    Stage,
    customer_document,
    customer_id,
    customer_state,
    euros,
    order_document,
    order_id,
    product_document,
    token_of,
)

_PLACE = """
mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename
  ... on PlaceOrderSuccess { consistencyToken order { id status customer { name } } }
  ... on UserError { code message } ... on InvalidInput { field }
  ... on PriceChanged { total { amount } } } }
"""
_SHIP = """
mutation ($id: ID!) { shipOrder(input: {orderId: $id}) { __typename
  ... on UserError { code } } }
"""


def _place(**changes: Any) -> dict[str, Any]:
    lines = [{"sku": "ANVIL", "quantity": 2}]
    return {"customerId": customer_id(), "lines": lines, **changes}


async def test_placing_an_order_answers_with_the_order_and_a_token(stage: Stage) -> None:
    await stage.customers(customer_document([], name="From the read model"))
    stage.services.on_command("place-order", {"order": order_document(1, status="PENDING")})
    request = stage.request()
    data = await stage.ask(_PLACE, request, input=_place(note="Quick"))
    payload = data["placeOrder"]
    assert payload["order"] == {
        "id": order_id(1),
        "status": "PENDING",
        "customer": {"name": "From the read model"},
    }
    assert SIGNER.decode(payload["consistencyToken"]).ticks == {"orders": Tick(1, 5)}
    assert request.written.ticks == {"orders": Tick(1, 5)}
    [served] = stage.freshness.records
    assert (served.path, served.sources) == (["placeOrder"], ("orders",))
    assert served.served_from is ServedFrom.SOURCE
    body = stage.services.last().body
    assert body["customer_id"] == "c1"
    assert body["lines"] == [{"sku": "ANVIL", "quantity": 2}]
    assert body["note"] == "Quick"


async def test_the_first_answer_to_a_repeated_command_is_not_the_truth_of_now(stage: Stage) -> None:
    stage.services.on_repeat("place-order", {"order": order_document(1, status="PENDING")})
    payload = (await stage.ask(_PLACE, input=_place()))["placeOrder"]
    assert payload["order"]["status"] == "PENDING"
    [served] = stage.freshness.records
    assert (served.read_model, served.served_from) == (None, ServedFrom.CACHE)


async def test_an_expected_total_is_sent_in_minor_units(stage: Stage) -> None:
    stage.services.on_refusal("place-order", "PRICE_CHANGED", total=euros(42_00))
    wanted = _place(expectedTotal={"amount": "40.5", "currency": "EUR"})
    payload = (await stage.ask(_PLACE, input=wanted))["placeOrder"]
    assert payload["__typename"] == "PriceChanged"
    assert payload["total"] == {"amount": "42.00"}
    assert stage.services.last().body["expected_total"] == euros(40_50)


async def test_the_other_commands_carry_their_fields(stage: Stage) -> None:
    stage.services.on_command("create-customer", {"customer": customer_state()}, "customers")
    stage.services.on_command("change-credit-limit", {"customer": customer_state()}, "customers")
    stage.services.on_command("add-product", {"product": product_document("A")}, "inventory")
    stage.services.on_command("restock-product", {"product": product_document("A")}, "inventory")
    stage.services.on_command("cancel-order", {"order": order_document(1)})
    await stage.ask(
        """mutation ($c: ID!, $o: ID!) {
          createCustomer(input: {name: "N", email: "e@x",
            creditLimit: {amount: "1", currency: "EUR"}})
            { ... on CreateCustomerSuccess { customer { name orderCount } } }
          changeCreditLimit(input: {customerId: $c, creditLimit: {amount: 2.5, currency: "EUR"}})
            { ... on ChangeCreditLimitSuccess { customer { creditLimit { amount } } } }
          addProduct(input: {sku: "A", name: "N", description: "D", stock: 3,
            price: {amount: "0.01", currency: "EUR"}})
            { ... on AddProductSuccess { product { sku } } }
          restockProduct(input: {sku: "A", quantity: 4})
            { ... on RestockProductSuccess { product { stockAvailable } } }
          cancelOrder(input: {orderId: $o, reason: "R"})
            { ... on CancelOrderSuccess { order { status } } } }""",
        c=customer_id(),
        o=order_id(1),
    )
    sent = [(one.service, one.name, one.body) for one in stage.services.asked]
    assert sent == [
        (
            "customers",
            "create-customer",
            {"name": "N", "email": "e@x", "credit_limit": euros(1_00)},
        ),
        ("customers", "change-credit-limit", {"customer_id": "c1", "credit_limit": euros(2_50)}),
        (
            "inventory",
            "add-product",
            {"sku": "A", "name": "N", "description": "D", "price": euros(1), "stock": 3},
        ),
        ("inventory", "restock-product", {"sku": "A", "quantity": 4}),
        ("orders", "cancel-order", {"order_id": "o001", "reason": "R"}),
    ]


@pytest.mark.parametrize(
    ("amount", "currency"), [("1.234", "EUR"), ("1", "euro"), ("NaN", "EUR"), ("1e99", "EUR")]
)
async def test_money_that_is_none_is_refused_without_asking_anybody(
    stage: Stage, amount: str, currency: str
) -> None:
    data = await stage.ask(
        """mutation ($limit: MoneyInput!) {
          createCustomer(input: {name: "N", email: "e@x", creditLimit: $limit})
            { __typename ... on InvalidInput { code field } } }""",
        limit={"amount": amount, "currency": currency},
    )
    assert data["createCustomer"] == {
        "__typename": "InvalidInput",
        "code": "INVALID_INPUT",
        "field": "creditLimit",
    }
    assert stage.services.asked == []


@pytest.mark.parametrize(
    ("code", "type_name"),
    [("ORDER_NOT_FOUND", "OrderNotFound"), ("ORDER_NOT_SHIPPABLE", "OrderNotShippable")],
)
async def test_a_refusal_is_a_value(stage: Stage, code: str, type_name: str) -> None:
    stage.services.on_refusal("ship-order", code)
    data = await stage.ask(_SHIP, id=order_id(1))
    assert data["shipOrder"] == {"__typename": type_name, "code": code}


async def test_the_field_of_an_invalid_input_is_named_as_in_the_schema(stage: Stage) -> None:
    stage.services.on_refusal("place-order", "INVALID_INPUT", field="customer_id")
    payload = (await stage.ask(_PLACE, input=_place()))["placeOrder"]
    assert (payload["code"], payload["field"]) == ("INVALID_INPUT", "customerId")


@pytest.mark.parametrize("broken", ["", "c1", order_id(1)])
async def test_an_id_of_no_customer_is_an_invalid_input(stage: Stage, broken: str) -> None:
    stage.services.on_refusal("place-order", "INVALID_INPUT", field="customer_id")
    payload = (await stage.ask(_PLACE, input=_place(customerId=broken)))["placeOrder"]
    assert (payload["__typename"], payload["field"]) == ("InvalidInput", "customerId")


async def test_a_command_carries_its_cause_and_what_it_must_see(stage: Stage) -> None:
    stage.services.on_command("ship-order", {"order": order_document(1)})
    await stage.ask(_SHIP, stage.request(read_after=token_of(7)), id=order_id(1))
    headers = stage.services.last().headers
    assert headers["slackwater-correlation-id"] == "corr-1"
    assert headers["slackwater-actor"] == "tester"
    assert headers["traceparent"] == "00-aa-bb-01"
    assert headers["slackwater-read-after"] == "inventory=1.7."
    assert "idempotency-key" not in headers


_TWO = """mutation Two($id: ID!) %s {
  a: shipOrder(input: {orderId: $id}) { __typename }
  b: shipOrder(input: {orderId: $id}) { __typename } }"""


@pytest.mark.parametrize("by", ["header", "operation"])
async def test_two_mutations_of_one_request_do_not_share_its_key(stage: Stage, by: str) -> None:
    stage.services.on_command("ship-order", {"order": order_document(1)})
    directive = '@idempotent(key: "K")' if by == "operation" else ""
    for _ in range(2):
        key = "K" if by == "header" else None
        await stage.ask(_TWO % directive, stage.request(idempotency_key=key), id=order_id(1))
    keys = [one.headers["idempotency-key"] for one in stage.services.asked]
    assert keys[:2] == keys[2:]
    assert keys[0] != keys[1]
    assert all(0 < len(key) <= 255 and key.isascii() for key in keys)


async def test_another_alias_makes_no_other_command(stage: Stage) -> None:
    stage.services.on_command("ship-order", {"order": order_document(1)})
    for two in (_TWO, _TWO.replace("a:", "first:").replace("b:", "second:")):
        await stage.ask(two % "", stage.request(idempotency_key="K"), id=order_id(1))
    keys = [one.headers["idempotency-key"] for one in stage.services.asked]
    assert keys[:2] == keys[2:]


async def test_an_invalid_input_before_it_does_not_shift_a_mutations_key(stage: Stage) -> None:
    stage.services.on_command("ship-order", {"order": order_document(1)})
    query = """mutation ($other: ID!, $id: ID!) {
      a: shipOrder(input: {orderId: $other}) { __typename }
      b: shipOrder(input: {orderId: $id}) { __typename } }"""
    for other in (customer_id(), order_id(2)):
        request = stage.request(idempotency_key="K")
        await stage.ask(query, request, id=order_id(1), other=other)
    keys = [one.headers["idempotency-key"] for one in stage.services.asked]
    assert keys[0] == keys[2] != keys[1]


async def test_merged_mutations_with_different_keys_are_not_sent(stage: Stage) -> None:
    query = """mutation ($id: ID!) {
      shipOrder(input: {orderId: $id}) @idempotent(key: "K") { __typename }
      shipOrder(input: {orderId: $id}) @idempotent(key: "L") { __typename } }"""
    assert await stage.codes(query, id=order_id(1)) == ["BAD_USER_INPUT"]
    assert stage.services.asked == []


@pytest.mark.parametrize("key", ["K", "ключ", "x" * 200])
async def test_a_key_on_a_field_holds_for_that_field(stage: Stage, key: str) -> None:
    stage.services.on_command("ship-order", {"order": order_document(1)})
    query = """mutation ($id: ID!, $key: String!) {
      shipOrder(input: {orderId: $id}) @idempotent(key: $key) { __typename } }"""
    for _ in range(2):
        await stage.ask(query, stage.request(idempotency_key="other"), id=order_id(1), key=key)
    first, second = [one.headers["idempotency-key"] for one in stage.services.asked]
    assert first == second
    assert len(first) <= 255


async def test_a_key_that_was_used_for_something_else_is_an_error(stage: Stage) -> None:
    stage.services.on_refusal("ship-order", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH")
    request = stage.request(idempotency_key="K")
    codes = await stage.codes(_SHIP, request, id=order_id(1))
    assert codes == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]


@pytest.mark.parametrize(
    ("status", "problem", "code"),
    [
        (503, "STALE_READ", "STALE_READ"),
        (503, "SOURCE_UNAVAILABLE", "SOURCE_UNAVAILABLE"),
        (500, "INTERNAL_SERVER_ERROR", "SOURCE_UNAVAILABLE"),
        (400, "BAD_USER_INPUT", "BAD_USER_INPUT"),
    ],
)
async def test_a_problem_of_a_service_has_a_code_for_clients(
    stage: Stage, status: int, problem: str, code: str
) -> None:
    stage.services.on_problem("ship-order", status, problem)
    assert await stage.codes(_SHIP, id=order_id(1)) == [code]


async def _message(stage: Stage, query: str, key: str | None) -> str:
    request = stage.request(idempotency_key=key)
    result = await stage.execute(query, request, {"id": order_id(1)})
    [error] = result.errors or []
    assert (error.extensions or {})["code"] == "SOURCE_UNAVAILABLE"
    return str(error.message)


async def test_a_service_that_does_not_answer_says_what_can_be_done(stage: Stage) -> None:
    stage.services.trouble = httpx2.ReadError("the service has gone")
    with_key = await _message(stage, _SHIP, "K")
    without = await _message(stage, _SHIP, None)
    asked = await _message(stage, "query ($id: ID!) { orderHistory(id: $id) { id } }", "K")
    assert "repeat it with the same idempotency key" in with_key
    assert "it may have been done" in without
    assert "idempotency key" not in asked


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (httpx2.ConnectError("refused"), "cannot be reached; nothing was sent"),
        (httpx2.ConnectTimeout("slow"), "cannot be reached; nothing was sent"),
        (
            httpx2.PoolTimeout("full"),
            "has too many requests of this gateway open; nothing was sent",
        ),
        (httpx2.ReadTimeout("slow"), "does not answer within 10 s; it may have been done"),
        (httpx2.RemoteProtocolError("gone"), "broke the connection off; it may have been done"),
    ],
)
async def test_what_was_never_sent_is_told_apart_from_what_may_have_been_done(
    stage: Stage, trouble: httpx2.HTTPError, told: str
) -> None:
    stage.services.trouble = trouble
    assert told in await _message(stage, _SHIP, None)
