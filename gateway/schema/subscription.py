"""Subscriptions: the current value first, then each change that has been projected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

import msgspec
import strawberry
from strawberry.dataloader import DataLoader

from contracts.read_models import CUSTOMER_ORDERS, ORDERS_MODEL, READ_MODELS
from gateway.errors import BadUserInput, SourceUnavailable
from gateway.identity import key_of
from gateway.projected import Projection, reads
from gateway.schema.customer import CUSTOMER, Customer
from gateway.schema.info import Info
from gateway.schema.order import ORDER, Order
from gateway.schema.read_models import ReadModelStatus, status_of
from gateway.sources import Answered
from slackwater.freshness.board import FreshnessBoard
from slackwater.read_models.documents import Document, Row

_PROGRESS_INTERVAL_S = 1.0
_LOOK_AGAIN_S = 5.0


def _followed(projection: Projection) -> Projection:
    """What is told of each change of a read model: no write service tells of changes."""
    return msgspec.structs.replace(projection, source_answers=False)


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description="The order now, and again whenever it changes.", **reads(_followed(ORDER))
    )
    async def order_changed(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> AsyncIterator[Order]:
        key = key_of(id, "Order")
        await _check_known(await _order_row(info, key), info.context.sources.orders, key)
        async for row in _changes(info, ORDERS_MODEL.name, lambda: _order_row(info, key)):
            yield Order(document=row.document)

    @strawberry.subscription(
        description="The customer now, and again whenever it changes.",
        **reads(_followed(CUSTOMER)),
    )
    async def customer_changed(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> AsyncIterator[Customer]:
        key = key_of(id, "Customer")
        await _check_known(await _customer_row(info, key), info.context.sources.customers, key)
        async for row in _changes(info, CUSTOMER_ORDERS.name, lambda: _customer_row(info, key)):
            yield Customer(document=row.document)

    @strawberry.subscription(description="Every second, how far a read model (or each) has come.")
    async def read_model_progress(
        self, info: Info, name: str | None = None
    ) -> AsyncIterator[ReadModelStatus]:
        wanted = [model for model in READ_MODELS if name is None or model.name == name]
        if not wanted:
            known = ", ".join(model.name for model in READ_MODELS)
            raise BadUserInput(f"there is no read model {name!r}; there are {known}")
        while True:
            for read_model in wanted:
                info.context.renew()
                yield status_of(info, read_model)
            await asyncio.sleep(_PROGRESS_INTERVAL_S)


async def _order_row(info: Info, order_id: str) -> Row | None:
    return await info.context.readers.order_row(order_id)


async def _customer_row(info: Info, customer_id: str) -> Row | None:
    return await info.context.readers.customer_row(customer_id)


async def _check_known(row: Row | None, source: DataLoader[str, Answered], key: str) -> None:
    """Refuse to wait for ever: what its service does not know, either, will never come.

    What the service knows is projected in a moment. If it cannot be asked, that is hoped for.
    """
    if row is not None:
        return
    with suppress(SourceUnavailable):
        if (await source.load(key)).content is None:
            raise BadUserInput("there is nothing with this id; use one as the API returned it")


async def _changes(
    info: Info, read_model: str, read: Callable[[], Awaitable[Row | None]]
) -> AsyncIterator[Row]:
    """Yield the row, then again whenever its document has changed; each time with new loaders.

    Revisions would not do: each version of a read model counts its own, and a version that is
    switched to may have another document at the revision that was shown. A change that was too
    stale to be shown is told of once, and comes as soon as it may be shown.
    """
    board, freshness = info.context.board, info.context.freshness
    shown: Document | None = None
    refused: Document | None = None
    while True:
        known = _state_of(board, read_model)
        may_show = await freshness.settled_event()
        info.context.renew()
        row = await read()
        if row is not None and row.document != shown and (may_show or row.document != refused):
            yield row
            is_refused = freshness.event_was_refused
            shown, refused = (shown, row.document) if is_refused else (row.document, None)
        await board.wait_for(
            partial(_is_due, info, read_model, known, is_refused=refused is not None),
            deadline_s=freshness.now_s() + _LOOK_AGAIN_S,
        )


def _is_due(info: Info, read_model: str, known: tuple[int, int], *, is_refused: bool) -> bool:
    if _state_of(info.context.board, read_model) != known:
        return True
    return is_refused and info.context.freshness.may_show_event()


def _state_of(board: FreshnessBoard, read_model: str) -> tuple[int, int]:
    """Return which version is read, and how many events it has applied."""
    return board.reading(read_model).version, board.applied(read_model)
