"""The demo's catalogue and plan: complete, plausible, and the same at every start."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from gateway.demo.assortment.articles import CATEGORIES, articles
from gateway.demo.companies import companies
from gateway.demo.plan import Fate, StorePlan, store_plan

_SKU = re.compile(r"[A-Z]{3}-[A-Z]{2}-[A-Z0-9]{4}")
_EMAIL = re.compile(r"[a-z]+@[a-z0-9-]+\.example")


@pytest.fixture(scope="module")
def plan() -> StorePlan:
    return store_plan()


def test_there_are_500_products_none_like_another() -> None:
    assert len(articles()) == 500
    for column in ("sku", "name", "description"):
        assert len({getattr(article, column) for article in articles()}) == 500


def test_every_category_is_equally_well_stocked() -> None:
    assert {len(list(category.articles())) for category in CATEGORIES} == {50}


def test_names_descriptions_and_prices_look_like_a_wholesalers() -> None:
    for article in articles():
        assert _SKU.fullmatch(article.sku), article.sku
        assert 10 <= len(article.name) <= 80, article.name
        assert 40 <= len(article.description) <= 300, article.description
        assert article.description.endswith("."), article.description
        assert "{" not in article.name + article.description
        assert 100 <= article.price.minor <= 100_000, article.sku
        assert article.price.currency == "EUR"


def test_there_are_200_companies_with_role_mailboxes_at_example_domains() -> None:
    assert len({company.name for company in companies()}) == 200
    assert len({company.email for company in companies()}) == 200
    assert all(_EMAIL.fullmatch(company.email) for company in companies())


def test_the_plan_is_the_same_at_every_start(plan: StorePlan) -> None:
    assert store_plan.__wrapped__() == plan


def test_orders_have_one_to_six_lines_of_products_on_sale(plan: StorePlan) -> None:
    on_sale = {product.article.sku for product in plan.products}
    assert len(plan.orders) == 3_000
    assert {len(order.basket.lines) for order in plan.orders} == {1, 2, 3, 4, 5, 6}
    assert all(set(order.basket.lines) <= on_sale for order in plan.orders)
    assert all(min(order.basket.lines.values()) >= 1 for order in plan.orders)
    assert plan.mark.article.sku not in on_sale


def test_some_customers_order_much_more_than_others(plan: StorePlan) -> None:
    counts = Counter(order.basket.customer_number for order in plan.orders)
    busiest = sum(count for _, count in counts.most_common(20))
    assert 0.25 < busiest / len(plan.orders) < 0.5
    assert len(counts) > 190


def test_few_orders_are_refused_and_for_every_reason(plan: StorePlan) -> None:
    outcomes = _simulate(plan)
    share = {outcome: count / len(plan.orders) for outcome, count in outcomes.items()}
    assert 0.03 < share["credit"] < 0.06
    assert 0.003 < share["stock"] < 0.03
    assert 0.003 < share["currency"] < 0.03


def test_most_approved_orders_are_shipped_and_a_few_cancelled(plan: StorePlan) -> None:
    fates = Counter(order.fate for order in plan.orders)
    assert 0.57 < fates[Fate.SHIP] / len(plan.orders) < 0.63
    assert 0.03 < fates[Fate.CANCEL] / len(plan.orders) < 0.07


def _simulate(plan: StorePlan) -> Counter[str]:
    """Decide the orders one by one as the saga would, with none shipped in between."""
    prices = {product.article.sku: product.article.price.minor for product in plan.products}
    stock = Counter({product.article.sku: product.stock for product in plan.products})
    credit = Counter({c.number: c.credit_limit.minor for c in plan.customers})
    foreign = {c.number for c in plan.customers if c.credit_limit.currency != "EUR"}
    outcomes: Counter[str] = Counter()
    for order in plan.orders:
        customer, lines = order.basket.customer_number, order.basket.lines
        total = sum(prices[sku] * quantity for sku, quantity in lines.items())
        if customer in foreign:
            outcomes["currency"] += 1
        elif total > credit[customer]:
            outcomes["credit"] += 1
        elif any(stock[sku] < quantity for sku, quantity in lines.items()):
            outcomes["stock"] += 1
        else:
            credit[customer] -= total
            stock.subtract(lines)
    return outcomes
