"""An operation that keeps to a version which was dropped meanwhile: an error, never emptiness."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.read_models import CUSTOMER_ORDERS
from gateway.errors import ReadModelUnavailable
from gateway.freshness.served import RequestFreshness
from gateway.readers import Readers
from slackwater.read_models.documents import Collection, DocumentStore
from slackwater.read_models.mongodb_documents import MongodbDocumentStore
from slackwater.read_models.progress import ModelVersion
from slackwater.read_models.search import SearchIndex
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.testing.doorbell import LocalDoorbell
from tests.engines import engine_url

_MODEL = ModelVersion(CUSTOMER_ORDERS.name)
_STORED = Collection(name=_MODEL.stored_name(CUSTOMERS_COLLECTION.name))
_READS: dict[str, Callable[[Readers], Awaitable[Any]]] = {
    "by key": lambda readers: readers.customers.load("nobody"),
    "anew": lambda readers: readers.customer_row("nobody"),
    "a page": lambda readers: readers.customer_page(10, None, ()),
    "a count": lambda readers: readers.count(CUSTOMER_ORDERS, CUSTOMERS_COLLECTION.name),
}


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.engine("mongodb"))])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DocumentStore]:
    store: DocumentStore
    if request.param == "sqlite":
        store = SqliteDocumentStore(tmp_path / "documents.sqlite", LocalDoorbell())
    else:
        database = f"dropped_{uuid.uuid4().hex[:8]}"
        store = MongodbDocumentStore(engine_url("mongodb"), database=database)
    await store.prepare([_STORED])
    yield store
    await store.drop([_STORED.name])
    await store.close()


def readers_of(documents: DocumentStore) -> Readers:
    """Return the readers of an operation that keeps to the first version."""
    pinned = SimpleNamespace(reading=lambda _name: SimpleNamespace(version=_MODEL.version))
    nothing = cast("SearchIndex", None)
    return Readers(documents, nothing, cast("RequestFreshness", pinned))


@pytest.mark.parametrize("read", _READS.values(), ids=_READS)
async def test_what_is_missing_is_missing_only_while_its_version_is_there(
    documents: DocumentStore, read: Callable[[Readers], Awaitable[Any]]
) -> None:
    readers = readers_of(documents)
    found = await read(readers)
    assert not found or found.is_empty
    await documents.drop([_STORED.name])
    with pytest.raises(ReadModelUnavailable, match="was rebuilt meanwhile; try again"):
        await read(readers.anew())
