"""Mutations: each sends one command to the service that owns the data.

What a command answers is the service's own truth of that moment (`servedFrom: SOURCE`); what is
selected below it comes from the read models. The token makes later reads wait for the write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strawberry

from gateway.schema import inputs, results
from gateway.schema.commands import WrongInputError, send, to_body_key, to_body_money
from gateway.schema.customer import Customer
from gateway.schema.info import Info
from gateway.schema.order import Order
from gateway.schema.product import Product

# ruff: noqa: A002 - `input` is the word of the API


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Open a customer's account, in the currency of its limit.")
    async def create_customer(
        self, info: Info, input: inputs.CreateCustomerInput
    ) -> results.CreateCustomerResult:
        def body() -> dict[str, Any]:
            limit = to_body_money(input.credit_limit, "creditLimit")
            return {"name": input.name, "email": input.email, "credit_limit": limit}

        success = _customer(results.CreateCustomerSuccess)
        return await _run(info, "customers", "create-customer", body, success)

    @strawberry.mutation(description="Make a customer's credit line longer or shorter.")
    async def change_credit_limit(
        self, info: Info, input: inputs.ChangeCreditLimitInput
    ) -> results.ChangeCreditLimitResult:
        def body() -> dict[str, Any]:
            return {
                "customer_id": to_body_key(input.customer_id, "Customer", "customerId"),
                "credit_limit": to_body_money(input.credit_limit, "creditLimit"),
            }

        success = _customer(results.ChangeCreditLimitSuccess)
        return await _run(info, "customers", "change-credit-limit", body, success)

    @strawberry.mutation(description="Offer a new product.")
    async def add_product(
        self, info: Info, input: inputs.AddProductInput
    ) -> results.AddProductResult:
        def body() -> dict[str, Any]:
            return {
                "sku": input.sku,
                "name": input.name,
                "description": input.description,
                "price": to_body_money(input.price, "price"),
                "stock": input.stock,
            }

        success = _product(results.AddProductSuccess)
        return await _run(info, "inventory", "add-product", body, success)

    @strawberry.mutation(description="More of a product has arrived.")
    async def restock_product(
        self, info: Info, input: inputs.RestockProductInput
    ) -> results.RestockProductResult:
        def body() -> dict[str, Any]:
            return {"sku": input.sku, "quantity": input.quantity}

        success = _product(results.RestockProductSuccess)
        return await _run(info, "inventory", "restock-product", body, success)

    @strawberry.mutation(description="Order; the answer is PENDING until the saga has decided.")
    async def place_order(
        self, info: Info, input: inputs.PlaceOrderInput
    ) -> results.PlaceOrderResult:
        def body() -> dict[str, Any]:
            expected = input.expected_total
            return {
                "customer_id": to_body_key(input.customer_id, "Customer", "customerId"),
                "lines": [{"sku": line.sku, "quantity": line.quantity} for line in input.lines],
                "note": input.note,
                "expected_total": to_body_money(expected, "expectedTotal") if expected else None,
            }

        success = _order(results.PlaceOrderSuccess)
        return await _run(info, "orders", "place-order", body, success)

    @strawberry.mutation(description="Give an order up before it has left.")
    async def cancel_order(
        self, info: Info, input: inputs.CancelOrderInput
    ) -> results.CancelOrderResult:
        def body() -> dict[str, Any]:
            order_id = to_body_key(input.order_id, "Order", "orderId")
            return {"order_id": order_id, "reason": input.reason}

        success = _order(results.CancelOrderSuccess)
        return await _run(info, "orders", "cancel-order", body, success)

    @strawberry.mutation(description="Tell that an approved order has left.")
    async def ship_order(self, info: Info, input: inputs.ShipOrderInput) -> results.ShipOrderResult:
        def body() -> dict[str, Any]:
            return {"order_id": to_body_key(input.order_id, "Order", "orderId")}

        success = _order(results.ShipOrderSuccess)
        return await _run(info, "orders", "ship-order", body, success)


async def _run(
    info: Info,
    service: str,
    command: str,
    body: Callable[[], dict[str, Any]],
    success: Callable[[dict[str, Any], str], Any],
) -> Any:
    info.context.commands_begun += 1
    try:
        sent = body()
    except WrongInputError as error:
        return error.refusal()
    return await send(info, service, command, sent, success)


def _customer(success: type[Any]) -> Callable[[dict[str, Any], str], Any]:
    return lambda result, token: success(
        customer=Customer(document=result["customer"]), consistency_token=token
    )


def _product(success: type[Any]) -> Callable[[dict[str, Any], str], Any]:
    return lambda result, token: success(
        product=Product(document=result["product"]), consistency_token=token
    )


def _order(success: type[Any]) -> Callable[[dict[str, Any], str], Any]:
    return lambda result, token: success(
        order=Order(document=result["order"]), consistency_token=token
    )
