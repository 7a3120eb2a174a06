"""The inputs of queries and mutations."""

from __future__ import annotations

from datetime import datetime

import strawberry

from gateway.schema.enums import OrderStatus
from gateway.schema.money import MoneyInput


@strawberry.input
class CustomerFilter:
    email: str | None = None
    name_starts_with: str | None = None


@strawberry.input
class OrderFilter:
    customer_id: strawberry.ID | None = None
    status: list[OrderStatus] | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None


@strawberry.input
class CreateCustomerInput:
    name: str
    email: str
    credit_limit: MoneyInput


@strawberry.input
class ChangeCreditLimitInput:
    customer_id: strawberry.ID
    credit_limit: MoneyInput


@strawberry.input
class AddProductInput:
    sku: str
    name: str
    description: str = ""
    price: MoneyInput
    stock: int


@strawberry.input
class RestockProductInput:
    sku: str
    quantity: int


@strawberry.input
class OrderLineInput:
    sku: str
    quantity: int


@strawberry.input
class PlaceOrderInput:
    customer_id: strawberry.ID
    lines: list[OrderLineInput]
    note: str | None = None
    expected_total: MoneyInput | None = strawberry.field(
        default=None, description="Refused as PriceChanged if the order comes to anything else."
    )


@strawberry.input
class CancelOrderInput:
    order_id: strawberry.ID
    reason: str | None = None


@strawberry.input
class ShipOrderInput:
    order_id: strawberry.ID
