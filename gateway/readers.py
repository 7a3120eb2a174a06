"""Reads of the read models for one operation: in batches by key, or in pages.

Every reader takes the read model's freshness first and its data second, so that the data may be
newer than what is said of it, never older.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import msgspec
from strawberry.dataloader import DataLoader

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.order_search import ORDER_SEARCH_INDEX, SearchKind
from contracts.documents.orders import ORDERS_COLLECTION, OrderStatus
from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.read_models import CUSTOMER_ORDERS, ORDER_SEARCH, ORDERS_MODEL, PRODUCTS_MODEL
from gateway.errors import BadUserInput, ReadModelUnavailable
from gateway.freshness.served import RequestFreshness
from slackwater.errors import TransientError
from slackwater.freshness.bound import Reading
from slackwater.read_models.documents import (
    Condition,
    Document,
    DocumentStore,
    Find,
    Operator,
    Row,
    Sort,
    UnknownCollectionError,
)
from slackwater.read_models.progress import ModelVersion
from slackwater.read_models.read_model import ReadModel
from slackwater.read_models.search import (
    SearchIndex,
    SearchRequest,
    SearchResult,
    UnknownIndexError,
)
from slackwater.read_models.search_cursor import InvalidCursorError

T = TypeVar("T")

PAGE_MAX = 100
PAGE_SIZE = 20
_NEWEST_FIRST = (Sort(path="placed_at", descending=True), Sort(path="id", descending=True))
_BY_ID = (Sort(path="id"),)


class Page(msgspec.Struct, frozen=True):
    """Some documents of a list, and whether more follow."""

    documents: list[Document]
    has_next: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing: neither here nor behind it."""
        return not self.documents and not self.has_next


class Readers:
    """The readers of one operation; loaders remember what they have read for it."""

    def __init__(
        self, documents: DocumentStore, search: SearchIndex, freshness: RequestFreshness
    ) -> None:
        self._documents = documents
        self._search = search
        self._freshness = freshness
        self.customers = self._loader(CUSTOMER_ORDERS, CUSTOMERS_COLLECTION.name)
        self.orders = self._loader(ORDERS_MODEL, ORDERS_COLLECTION.name)
        self.products = self._loader(PRODUCTS_MODEL, PRODUCTS_COLLECTION.name)
        self.orders_of_customers = self._loader(
            CUSTOMER_ORDERS, CUSTOMERS_COLLECTION.name, version_min=0
        )

    async def customer_page(
        self, first: int | None, after: tuple[Any, ...] | None, where: Sequence[Condition]
    ) -> Page:
        find = Find(
            collection=CUSTOMERS_COLLECTION.name, where=tuple(where), order=_BY_ID, after=after
        )
        return await self._page(CUSTOMER_ORDERS, find, first)

    async def order_page(
        self, first: int | None, after: tuple[Any, ...] | None, where: Sequence[Condition]
    ) -> Page:
        find = Find(
            collection=ORDERS_COLLECTION.name, where=tuple(where), order=_NEWEST_FIRST, after=after
        )
        return await self._page(ORDERS_MODEL, find, first)

    async def product_page(self, first: int | None, after: tuple[Any, ...] | None) -> Page:
        find = Find(collection=PRODUCTS_COLLECTION.name, order=_BY_ID, after=after)
        return await self._page(PRODUCTS_MODEL, find, first)

    async def search(
        self, text: str, kinds: Sequence[SearchKind], first: int, after: str | None
    ) -> SearchResult:
        """Search the index; return one hit more than asked for, where there is one.

        A page after the first may show an earlier state (`is_kept`), for which nothing that was
        pinned speaks; where freshness is required it is read anew.

        Raises:
            BadUserInput: the cursor is none of this search.
        """
        index, reading = self._pin(ORDER_SEARCH, ORDER_SEARCH_INDEX.name)
        request = SearchRequest(
            index=index,
            text=text,
            kinds=tuple(kinds),
            after=after,
            anew=self._freshness.requires_any,
            limit=bounded(first) + 1,
            stamp=reading.stamp,
        )
        try:
            return await _available(ORDER_SEARCH, self._search.search(request))
        except InvalidCursorError as error:
            raise BadUserInput(str(error)) from error

    async def customer_row(self, customer_id: str) -> Row | None:
        """Return the visible row of a customer, read anew."""
        return await self._row(CUSTOMER_ORDERS, CUSTOMERS_COLLECTION.name, customer_id)

    async def order_row(self, order_id: str) -> Row | None:
        """Return the visible row of an order, read anew."""
        return await self._row(ORDERS_MODEL, ORDERS_COLLECTION.name, order_id)

    async def count(self, read_model: ReadModel, collection: str) -> int:
        """Count the visible documents of a collection."""
        stored = self._pinned(read_model, collection)
        counted = await _available(read_model, self._documents.count(stored))
        await self._require(read_model, stored, is_whole=counted > 0)
        return counted

    async def count_found(self) -> int:
        """Count what can be found."""
        index, reading = self._pin(ORDER_SEARCH, ORDER_SEARCH_INDEX.name)
        return await _available(ORDER_SEARCH, self._search.count(index, reading.stamp))

    def anew(self) -> Readers:
        """Return readers that remember nothing; what was loaded is as old as its loading."""
        return Readers(self._documents, self._search, self._freshness)

    async def _row(self, read_model: ReadModel, collection: str, row_id: str) -> Row | None:
        rows = await self._rows(read_model, collection, [row_id])
        return _visible(rows.get(row_id))

    async def _page(self, read_model: ReadModel, find: Find, first: int | None) -> Page:
        limit = bounded(first)
        stored = self._pinned(read_model, find.collection)
        one_more = msgspec.structs.replace(find, collection=stored, limit=limit + 1)
        rows = await _available(read_model, self._documents.find(one_more))
        await self._require(read_model, stored, is_whole=bool(rows))
        return Page([row.document for row in rows[:limit]], len(rows) > limit)

    async def _rows(
        self, read_model: ReadModel, collection: str, ids: Sequence[str]
    ) -> dict[str, Row]:
        stored = self._pinned(read_model, collection)
        return await _available(read_model, self._documents.get(stored, ids))

    async def _require(self, read_model: ReadModel, stored: str, *, is_whole: bool) -> None:
        """Make sure that what is missing is not missing for want of the whole collection.

        A rebuild may have dropped it, with the version that the operation keeps to.
        """
        if not is_whole:
            await _available(read_model, self._documents.require(stored))

    def _pinned(self, read_model: ReadModel, name: str) -> str:
        stored, _ = self._pin(read_model, name)
        return stored

    def _pin(self, read_model: ReadModel, name: str) -> tuple[str, Reading]:
        """Take the read model's freshness; name what its version keeps of a collection or index."""
        reading = self._freshness.reading(read_model.name)
        return ModelVersion(read_model.name, reading.version).stored_name(name), reading

    def _loader(
        self, read_model: ReadModel, collection: str, version_min: int = 1
    ) -> DataLoader[str, Document | None]:
        async def load(ids: list[str]) -> list[Document | None]:
            rows = await self._rows(read_model, collection, ids)
            visible = [_visible(rows.get(row_id), version_min) for row_id in ids]
            return [row.document if row is not None else None for row in visible]

        return DataLoader(load)


def bounded(first: int | None) -> int:
    """Return the size of a page; null asks for the default.

    Raises:
        BadUserInput: it is negative or too large.
    """
    if first is None:
        return PAGE_SIZE
    if not 0 <= first <= PAGE_MAX:
        raise BadUserInput(f"`first` is {first}; use 0 to {PAGE_MAX} and page on with `after`")
    return first


def with_status(statuses: Sequence[OrderStatus] | None) -> list[Condition]:
    """Return the condition that an order has one of the statuses; none when none is given."""
    if statuses is None:
        return []
    values = [status.value for status in statuses]
    return [Condition(path="status", operator=Operator.ANY_OF, value=values)]


def of_customer(customer_id: str) -> Condition:
    return Condition(path="customer_id", operator=Operator.EQUAL, value=customer_id)


def _visible(row: Row | None, version_min: int = 1) -> Row | None:
    """A row is invisible until the event that creates its own aggregate has been applied."""
    return row if row is not None and row.version >= version_min else None


async def _available(read_model: ReadModel, reading: Awaitable[T]) -> T:
    try:
        return await reading
    except TransientError as error:
        raise ReadModelUnavailable(
            f"the read model {read_model.name} cannot be read now; try again in a moment",
            extensions={"readModel": read_model.name},
            original_error=error,
        ) from error
    except (UnknownCollectionError, UnknownIndexError) as error:
        raise ReadModelUnavailable(
            f"the read model {read_model.name} was rebuilt meanwhile; try again, and if that is in "
            f"vain, rebuild it: slackwater rebuild {read_model.name}",
            extensions={"readModel": read_model.name},
            original_error=error,
        ) from error
