"""The state of the read models themselves."""

from __future__ import annotations

import math

import strawberry

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.orders import ORDERS_COLLECTION
from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.read_models import (
    CUSTOMER_ORDERS,
    ORDER_SEARCH,
    ORDERS_MODEL,
    PRODUCTS_MODEL,
    READ_MODELS,
)
from gateway.errors import ReadModelUnavailable
from gateway.freshness.types import SourceFreshness, describe
from gateway.rate_meter import rebuilding
from gateway.schema.info import Info
from slackwater.freshness.bound import FreshnessStatus
from slackwater.read_models.read_model import ReadModel

_COLLECTIONS = {
    CUSTOMER_ORDERS.name: CUSTOMERS_COLLECTION.name,
    ORDERS_MODEL.name: ORDERS_COLLECTION.name,
    PRODUCTS_MODEL.name: PRODUCTS_COLLECTION.name,
}


@strawberry.type(description="How far the building of a new version has come.")
class RebuildProgress:
    version: int
    events_done: int
    events_total: int
    seconds_left: int | None


@strawberry.type(description="A read model, and how far it has come.")
class ReadModelStatus:
    read_model: strawberry.Private[ReadModel]
    name: str
    version: int
    status: FreshnessStatus
    max_staleness_ms: int | None
    lag_events: int | None
    holes: int
    events_per_second: float
    rebuild: RebuildProgress | None
    sources: list[SourceFreshness]

    @strawberry.field(description="How many there are; null while their store cannot be asked.")
    async def documents(self, info: Info) -> int | None:
        try:
            return await _count(info, self.read_model)
        except ReadModelUnavailable:
            return None


async def all_statuses(info: Info) -> list[ReadModelStatus]:
    """Return the state of every read model."""
    return [status_of(info, read_model) for read_model in READ_MODELS]


def status_of(info: Info, read_model: ReadModel) -> ReadModelStatus:
    """Return the state of one read model."""
    freshness = describe(info, read_model=read_model.name, sources=read_model.sources)
    return ReadModelStatus(
        read_model=read_model,
        name=read_model.name,
        version=info.context.board.reading(read_model.name).version,
        status=freshness.status,
        max_staleness_ms=freshness.max_staleness_ms,
        lag_events=freshness.lag_events,
        holes=freshness.holes,
        events_per_second=info.context.meter.per_second(read_model.name),
        rebuild=_rebuild(info, read_model),
        sources=freshness.sources,
    )


async def _count(info: Info, read_model: ReadModel) -> int:
    if read_model.name == ORDER_SEARCH.name:
        return await info.context.readers.count_found()
    return await info.context.readers.count(read_model, _COLLECTIONS[read_model.name])


def _rebuild(info: Info, read_model: ReadModel) -> RebuildProgress | None:
    rebuild = info.context.board.rebuild(read_model.name)
    if rebuild is None:
        return None
    a_second = info.context.meter.per_second(rebuilding(read_model.name))
    left = rebuild.events_total - rebuild.events_done
    return RebuildProgress(
        version=rebuild.version,
        events_done=rebuild.events_done,
        events_total=rebuild.events_total,
        seconds_left=math.ceil(left / a_second) if a_second else None,
    )
