"""What the inventory service publishes: products on one topic, answers to orders on another."""

from __future__ import annotations

from enum import StrEnum

from contracts.events.registry import event_types
from contracts.money import Money
from contracts.topics import PRODUCTS, RESERVATIONS
from slackwater.events.event import EventBody

PRODUCT = "product"
STOCK_RESERVATION = "stock_reservation"


class StockRefusalReason(StrEnum):
    """Why an order got no stock."""

    OUT_OF_STOCK = "OUT_OF_STOCK"


@event_types.register("inventory.product-added", aggregate_type=PRODUCT, topic=PRODUCTS)
class ProductAdded(EventBody, frozen=True, kw_only=True):
    """A product is for sale. The aggregate's id is the sku."""

    name: str
    description: str
    price: Money
    stock_available: int


@event_types.register("inventory.product-restocked", aggregate_type=PRODUCT, topic=PRODUCTS)
class ProductRestocked(EventBody, frozen=True, kw_only=True):
    """More of it has arrived; `stock_available` is the new figure."""

    quantity: int
    stock_available: int


@event_types.register("inventory.product-reserved", aggregate_type=PRODUCT, topic=PRODUCTS)
class ProductReserved(EventBody, frozen=True, kw_only=True):
    """Some of it is set aside for an order; `stock_available` is the new figure."""

    order_id: str
    quantity: int
    stock_available: int


@event_types.register("inventory.product-released", aggregate_type=PRODUCT, topic=PRODUCTS)
class ProductReleased(EventBody, frozen=True, kw_only=True):
    """What an order no longer needs is for sale again; `stock_available` is the new figure."""

    order_id: str
    quantity: int
    stock_available: int


@event_types.register(
    "inventory.stock-reserved", aggregate_type=STOCK_RESERVATION, topic=RESERVATIONS
)
class StockReserved(EventBody, frozen=True, kw_only=True):
    """All lines of an order are set aside. The aggregate's id is the order's."""


@event_types.register(
    "inventory.stock-refused", aggregate_type=STOCK_RESERVATION, topic=RESERVATIONS
)
class StockRefused(EventBody, frozen=True, kw_only=True):
    """A line of an order cannot be had; nothing of the order is set aside."""

    reason: StockRefusalReason
    sku: str


@event_types.register(
    "inventory.stock-released", aggregate_type=STOCK_RESERVATION, topic=RESERVATIONS
)
class StockReleased(EventBody, frozen=True, kw_only=True):
    """The order needs its stock no longer."""


@event_types.register(
    "inventory.stock-shipped", aggregate_type=STOCK_RESERVATION, topic=RESERVATIONS
)
class StockShipped(EventBody, frozen=True, kw_only=True):
    """What was set aside for the order has left the house."""
