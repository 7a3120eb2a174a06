"""What mutations answer: a success, or a refusal that says why nothing was changed."""

# ruff: noqa: N818 - refusals are values of the domain, not exceptions

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import strawberry
from strawberry.utils.str_converters import to_camel_case

from gateway.schema.customer import Customer
from gateway.schema.money import Money, to_money
from gateway.schema.order import Order
from gateway.schema.product import Product
from gateway.services import CommandRefusal


@strawberry.interface(description="A refusal: nothing was changed.")
class UserError:
    message: str
    code: str


@strawberry.type
class InvalidInput(UserError):
    field: str | None = None


@strawberry.type
class CustomerNotFound(UserError):
    pass


@strawberry.type
class ProductNotFound(UserError):
    sku: str | None = None


@strawberry.type
class PriceChanged(UserError):
    total: Money | None = None


@strawberry.type
class CreditLimitBelowReserved(UserError):
    pass


@strawberry.type
class DuplicateSku(UserError):
    pass


@strawberry.type
class OrderNotFound(UserError):
    pass


@strawberry.type
class OrderNotCancellable(UserError):
    pass


@strawberry.type
class OrderNotShippable(UserError):
    pass


@strawberry.type
class CreateCustomerSuccess:
    customer: Customer
    consistency_token: str


@strawberry.type
class ChangeCreditLimitSuccess:
    customer: Customer
    consistency_token: str


@strawberry.type
class AddProductSuccess:
    product: Product
    consistency_token: str


@strawberry.type
class RestockProductSuccess:
    product: Product
    consistency_token: str


@strawberry.type
class PlaceOrderSuccess:
    order: Order
    consistency_token: str


@strawberry.type
class CancelOrderSuccess:
    order: Order
    consistency_token: str


@strawberry.type
class ShipOrderSuccess:
    order: Order
    consistency_token: str


CreateCustomerResult: TypeAlias = Annotated[
    CreateCustomerSuccess | InvalidInput, strawberry.union("CreateCustomerResult")
]
ChangeCreditLimitResult: TypeAlias = Annotated[
    ChangeCreditLimitSuccess | InvalidInput | CustomerNotFound | CreditLimitBelowReserved,
    strawberry.union("ChangeCreditLimitResult"),
]
AddProductResult: TypeAlias = Annotated[
    AddProductSuccess | InvalidInput | DuplicateSku, strawberry.union("AddProductResult")
]
RestockProductResult: TypeAlias = Annotated[
    RestockProductSuccess | InvalidInput | ProductNotFound,
    strawberry.union("RestockProductResult"),
]
PlaceOrderResult: TypeAlias = Annotated[
    PlaceOrderSuccess | InvalidInput | ProductNotFound | PriceChanged,
    strawberry.union("PlaceOrderResult"),
]
CancelOrderResult: TypeAlias = Annotated[
    CancelOrderSuccess | InvalidInput | OrderNotFound | OrderNotCancellable,
    strawberry.union("CancelOrderResult"),
]
ShipOrderResult: TypeAlias = Annotated[
    ShipOrderSuccess | InvalidInput | OrderNotFound | OrderNotShippable,
    strawberry.union("ShipOrderResult"),
]


def _plain(refusal: type[Any]) -> Callable[[CommandRefusal], UserError]:
    return lambda answer: refusal(message=answer.message, code=answer.code)


def _invalid_input(answer: CommandRefusal) -> UserError:
    return invalid_input(answer.message, answer.details.get("field"))


def _product_not_found(answer: CommandRefusal) -> UserError:
    return ProductNotFound(message=answer.message, code=answer.code, sku=answer.details.get("sku"))


def _price_changed(answer: CommandRefusal) -> UserError:
    total = answer.details.get("total")
    return PriceChanged(
        message=answer.message, code=answer.code, total=to_money(total) if total else None
    )


_REFUSALS: dict[str, Callable[[CommandRefusal], UserError]] = {
    "INVALID_INPUT": _invalid_input,
    "CUSTOMER_NOT_FOUND": _plain(CustomerNotFound),
    "PRODUCT_NOT_FOUND": _product_not_found,
    "PRICE_CHANGED": _price_changed,
    "CREDIT_LIMIT_BELOW_RESERVED": _plain(CreditLimitBelowReserved),
    "DUPLICATE_SKU": _plain(DuplicateSku),
    "ORDER_NOT_FOUND": _plain(OrderNotFound),
    "ORDER_NOT_CANCELLABLE": _plain(OrderNotCancellable),
    "ORDER_NOT_SHIPPABLE": _plain(OrderNotShippable),
}


def to_user_error(refusal: CommandRefusal) -> UserError:
    """Return a service's refusal as its GraphQL type."""
    return _REFUSALS[refusal.code](refusal)


def invalid_input(message: str, field: str | None) -> InvalidInput:
    """Return the refusal of one field of the input, named as in the schema."""
    name = to_camel_case(field) if field else None
    return InvalidInput(message=message, code="INVALID_INPUT", field=name)
