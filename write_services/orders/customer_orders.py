"""One customer's orders, newest first, in pages that neither skip nor repeat."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from contracts.documents.orders import OrderStatus
from contracts.timestamps import to_text
from slackwater.service.definition import InvalidQueryError
from slackwater.service.parameters import count_up_to, moment, required
from write_services.orders import order_book
from write_services.orders.tables import order_index

_PAGE_SIZE = 20
_PAGE_SIZE_MAX = 100
_WITHOUT_TOTAL = (OrderStatus.REJECTED, OrderStatus.CANCELLED)


def customer_orders(connection: Connection, parameters: dict[str, str]) -> Any:
    """Answer a page: `after` is the last order seen, as `<placed_at>,<id>`.

    `status` keeps the page to some statuses (a list with commas; an empty one keeps none).
    `count` is of all orders; `total_minor` sums, by currency, those not rejected or cancelled.
    """
    customer_id = required(parameters, "customer_id")
    first = count_up_to(parameters, "first", default=_PAGE_SIZE, most=_PAGE_SIZE_MAX)
    page = _newest_first(customer_id).where(*_after(parameters), *_with_status(parameters))
    order_ids = list(connection.execute(page.limit(first + 1)).scalars())
    orders = order_book.find_many(connection, order_ids[:first])
    return {
        "orders": [msgspec.to_builtins(order.document) for order in orders],
        "has_next": len(order_ids) > first,
        "count": _count(connection, customer_id),
        "total_minor": _totals(connection, customer_id),
    }


def _newest_first(customer_id: str) -> Select[str]:
    return (
        select(order_index.c.order_id)
        .where(order_index.c.customer_id == customer_id)
        .order_by(order_index.c.placed_at.desc(), order_index.c.order_id.desc())
    )


def _after(parameters: dict[str, str]) -> list[ColumnElement[bool]]:
    after = parameters.get("after")
    if after is None:
        return []
    placed_at, _, order_id = after.partition(",")
    if not order_id:
        raise InvalidQueryError(f"after is <placed_at>,<id> of the last order, not {after!r}")
    place = tuple_(order_index.c.placed_at, order_index.c.order_id)
    return [place < (to_text(moment(placed_at, "after")), order_id)]


def _with_status(parameters: dict[str, str]) -> list[ColumnElement[bool]]:
    wanted = parameters.get("status")
    if wanted is None:
        return []
    statuses = [status for status in wanted.split(",") if status]
    unknown = set(statuses) - set(OrderStatus)
    if unknown:
        raise InvalidQueryError(f"status is one of {', '.join(OrderStatus)}, not {unknown.pop()!r}")
    return [order_index.c.status.in_(statuses)]


def _count(connection: Connection, customer_id: str) -> int:
    count = select(func.count()).where(order_index.c.customer_id == customer_id)
    return connection.execute(count).scalar_one()


def _totals(connection: Connection, customer_id: str) -> dict[str, int]:
    rows = connection.execute(
        select(order_index.c.currency, func.sum(order_index.c.total_minor))
        .where(
            order_index.c.customer_id == customer_id,
            order_index.c.status.not_in(_WITHOUT_TOTAL),
        )
        .group_by(order_index.c.currency)
    )
    return {currency: int(total) for currency, total in rows}
