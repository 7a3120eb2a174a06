"""The plan of the demo data: every customer, product and order, the same at every start.

Limits and stock are sized by what the planned orders need when none has been shipped yet. A known
share of customers gets too little credit and a handful of products too little stock, so that the
saga refuses some orders for each reason.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache

import msgspec

from contracts.money import Money
from gateway.demo.assortment.articles import articles
from gateway.demo.assortment.family import CURRENCY, Article
from gateway.demo.companies import COMPANIES, Company, companies
from gateway.demo.shopping import Basket, Shoppers

ORDERS = 3_000

_SEED = 20_260_301
_SHIPPED_SHARE = 0.60
_CANCELLED_SHARE = 0.05
_FOREIGN_CURRENCY = "USD"
_FOREIGN_CUSTOMERS = 4
_FOREIGN_ORDERS_MAX = 14
_TIGHT_SHARE = 0.25
_SCARCE_PRODUCTS = 10
_STOCK_MIN = 40
_LIMIT_STEP_MINOR = 50_000
_CANCEL_REASONS = (
    "Ordered twice by mistake.",
    "The project has been postponed.",
    "Found the goods in our own stores.",
    "Delivery would come too late.",
)


class Fate(StrEnum):
    """What becomes of an order that is approved."""

    SHIP = "SHIP"
    CANCEL = "CANCEL"
    STAY = "STAY"


class PlannedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer to create."""

    number: int
    company: Company
    credit_limit: Money


class PlannedProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product to add."""

    article: Article
    stock: int


class PlannedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to place, and what becomes of it."""

    number: int
    basket: Basket
    fate: Fate
    cancel_reason: str


class StorePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to create; `mark` is the product whose presence says that all the rest is done."""

    customers: Sequence[PlannedCustomer]
    products: Sequence[PlannedProduct]
    orders: Sequence[PlannedOrder]
    mark: PlannedProduct


@cache
def store_plan() -> StorePlan:
    """Return the whole plan."""
    rng = random.Random(_SEED)  # noqa: S311 - a plan, no secret
    *on_sale, mark = articles()
    shoppers = Shoppers(on_sale, COMPANIES, rng)
    orders = [_order(number, shoppers.draw(), rng) for number in range(ORDERS)]
    return StorePlan(
        customers=_customers(orders, {article.sku: article.price for article in on_sale}, rng),
        products=_products(on_sale, orders, rng),
        orders=orders,
        mark=PlannedProduct(article=mark, stock=COMPANIES),
    )


def _order(number: int, basket: Basket, rng: random.Random) -> PlannedOrder:
    return PlannedOrder(
        number=number,
        basket=basket,
        fate=draw_fate(rng),
        cancel_reason=rng.choice(_CANCEL_REASONS),
    )


def draw_fate(rng: random.Random) -> Fate:
    """Draw what becomes of an approved order: most are shipped, a few cancelled."""
    drawn = rng.random()
    if drawn < _SHIPPED_SHARE:
        return Fate.SHIP
    return Fate.CANCEL if drawn < _SHIPPED_SHARE + _CANCELLED_SHARE else Fate.STAY


def _customers(
    orders: Sequence[PlannedOrder], prices: Mapping[str, Money], rng: random.Random
) -> list[PlannedCustomer]:
    spent = _spent_minor(orders, prices)
    foreign = _foreign(orders)
    tight = set(rng.sample(range(COMPANIES), round(COMPANIES * _TIGHT_SHARE)))
    return [
        PlannedCustomer(
            number=number,
            company=company,
            credit_limit=Money(
                minor=_limit_minor(spent[number], rng, is_tight=number in tight),
                currency=_FOREIGN_CURRENCY if number in foreign else CURRENCY,
            ),
        )
        for number, company in enumerate(companies())
    ]


def _spent_minor(orders: Sequence[PlannedOrder], prices: Mapping[str, Money]) -> Counter[int]:
    spent: Counter[int] = Counter()
    for order in orders:
        for sku, quantity in order.basket.lines.items():
            spent[order.basket.customer_number] += prices[sku].minor * quantity
    return spent


def _foreign(orders: Sequence[PlannedOrder]) -> set[int]:
    """Choose customers that order now and then: each of their orders will be rejected."""
    counts = Counter(order.basket.customer_number for order in orders)
    rare = [number for number, count in sorted(counts.items()) if count <= _FOREIGN_ORDERS_MAX]
    return set(rare[:_FOREIGN_CUSTOMERS])


def _limit_minor(spent_minor: int, rng: random.Random, *, is_tight: bool) -> int:
    share = rng.uniform(0.76, 0.94) if is_tight else rng.uniform(1.1, 2.0)
    steps = spent_minor * share / _LIMIT_STEP_MINOR
    return max(1, int(steps) if is_tight else int(steps) + 1) * _LIMIT_STEP_MINOR


def _products(
    on_sale: Sequence[Article], orders: Sequence[PlannedOrder], rng: random.Random
) -> list[PlannedProduct]:
    wanted: Counter[str] = Counter()
    for order in orders:
        wanted.update(order.basket.lines)
    by_demand = sorted((article.sku for article in on_sale), key=lambda sku: (wanted[sku], sku))
    scarce = set(rng.sample(by_demand[len(by_demand) // 4 : len(by_demand) // 2], _SCARCE_PRODUCTS))
    return [
        PlannedProduct(
            article=article, stock=_stock(wanted[article.sku], rng, is_scarce=article.sku in scarce)
        )
        for article in on_sale
    ]


def _stock(wanted: int, rng: random.Random, *, is_scarce: bool) -> int:
    if is_scarce:
        return int(wanted * rng.uniform(0.4, 0.7))
    return _STOCK_MIN + int(wanted * rng.uniform(1.3, 3.0))
