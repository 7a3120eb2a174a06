"""What changed rows of inventory mean: the events that its commands and saga steps would add.

Rows say less than events. Stock that falls is for the order whose line for that product came before
it in the transaction; stock that rises comes back from the order whose reservation is released
after it, and is new stock where none is. Who asked for it no row says, and in which chain of causes
only that of an answered order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from contracts.events import event_types
from contracts.events.inventory import (
    ProductAdded,
    ProductReleased,
    ProductReserved,
    ProductRestocked,
    StockRefusalReason,
    StockRefused,
    StockReleased,
    StockReserved,
    StockShipped,
)
from contracts.money import Money
from slackwater.events.event import Cause, EventBody
from slackwater.mining.mapping import (
    ChangeKind,
    Inferred,
    MappedTable,
    Row,
    RowChange,
    RowMapping,
    UnmappableError,
)
from write_services.inventory.reservations import ReservationState
from write_services.inventory.tables import (
    product,
    stock_answer,
    stock_reservation,
    stock_reservation_line,
)

_FIXED = ("sku", "name", "description", "price_minor", "currency")


def infer(changes: Sequence[RowChange]) -> Iterator[Inferred]:
    """Return what the changes of one transaction mean.

    Raises:
        UnmappableError: no event tells of such a change.
    """
    return _Transaction().infer(changes)


class _Transaction:
    """Remembers, within one transaction, what later changes explain."""

    def __init__(self) -> None:
        self._causes: dict[str, Cause] = {}
        self._lines: defaultdict[str, deque[Row]] = defaultdict(deque)
        self._risen: list[tuple[Row, int]] = []

    def infer(self, changes: Sequence[RowChange]) -> Iterator[Inferred]:
        for change in changes:
            yield from self._infer_one(change)
        yield from self._restocked()

    def _infer_one(self, change: RowChange) -> Iterator[Inferred]:
        table, old, new = change.table, change.old, change.new
        if new is None:
            raise _unmappable(change, "is deleted")
        if change.kind is ChangeKind.INSERTED:
            yield from self._inserted(table, new)
        elif old is not None and table == product.name:
            yield from self._stock_changed(change, old, new)
        elif old is not None and table == stock_reservation.name:
            if old["state"] != new["state"]:
                yield from self._closed(new)
        else:
            raise _unmappable(change, "is changed")

    def _inserted(self, table: str, row: Row) -> Iterator[Inferred]:
        if table == product.name:
            yield _of_product(row, _added(row))
        elif table == stock_answer.name:
            yield self._answered(row)
        elif table == stock_reservation.name:
            yield from self._closed(row)
        else:
            self._lines[row["sku"]].append(row)

    def _stock_changed(self, change: RowChange, old: Row, new: Row) -> Iterator[Inferred]:
        if any(old[name] != new[name] for name in _FIXED):
            raise _unmappable(change, "gets another name or price")
        risen = new["stock_available"] - old["stock_available"]
        if risen > 0:
            self._risen.append((new, risen))
        elif risen < 0:
            yield from self._restocked()
            yield self._reserved(change, new, -risen)

    def _reserved(self, change: RowChange, row: Row, quantity: int) -> Inferred:
        lines = self._lines[row["sku"]]
        if not lines or lines[0]["quantity"] != quantity:
            raise _unmappable(change, "loses stock that no order has reserved")
        order_id = lines.popleft()["order_id"]
        stock = row["stock_available"]
        body = ProductReserved(order_id=order_id, quantity=quantity, stock_available=stock)
        return _of_product(row, body, self._causes.get(order_id))

    def _answered(self, row: Row) -> Inferred:
        cause = Cause(correlation_id=row["correlation_id"])
        self._causes[row["order_id"]] = cause
        if row["refused_sku"] is None:
            return _of_order(row, StockReserved(), cause)
        reason = StockRefusalReason.OUT_OF_STOCK
        return _of_order(row, StockRefused(reason=reason, sku=row["refused_sku"]), cause)

    def _closed(self, row: Row) -> Iterator[Inferred]:
        if row["state"] == ReservationState.RELEASED:
            yield from self._released(row["order_id"])
            yield _of_order(row, StockReleased())
        elif row["state"] == ReservationState.SHIPPED:
            yield _of_order(row, StockShipped())

    def _released(self, order_id: str) -> Iterator[Inferred]:
        for row, quantity in self._risen:
            stock = row["stock_available"]
            body = ProductReleased(order_id=order_id, quantity=quantity, stock_available=stock)
            yield _of_product(row, body)
        self._risen.clear()

    def _restocked(self) -> Iterator[Inferred]:
        for row, quantity in self._risen:
            body = ProductRestocked(quantity=quantity, stock_available=row["stock_available"])
            yield _of_product(row, body)
        self._risen.clear()


def _added(row: Row) -> ProductAdded:
    return ProductAdded(
        name=row["name"],
        description=row["description"],
        price=Money(minor=row["price_minor"], currency=row["currency"]),
        stock_available=row["stock_available"],
    )


def _of_product(row: Row, body: EventBody, cause: Cause | None = None) -> Inferred:
    return Inferred(body, aggregate_id=row["sku"], partition_key=row["sku"], cause=cause)


def _of_order(row: Row, body: EventBody, cause: Cause | None = None) -> Inferred:
    return Inferred(
        body, aggregate_id=row["order_id"], partition_key=row["customer_id"], cause=cause
    )


def _unmappable(change: RowChange, what: str) -> UnmappableError:
    return UnmappableError(
        f"a row of {change.table} {what}, and no event tells of that: undo it, and drop the slot "
        "with pg_drop_replication_slot to begin a new timeline with the rows that there are"
    )


mapping = RowMapping(
    event_types=event_types,
    tables=(
        MappedTable(product, whole_rows=True),
        MappedTable(stock_answer),
        MappedTable(stock_reservation, whole_rows=True),
        MappedTable(stock_reservation_line),
    ),
    infer=infer,
)
