"""MongoDB as a document store: the contract, its query plans and what it sends."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from pymongo import AsyncMongoClient

from slackwater.read_models.documents import DocumentStore
from slackwater.read_models.mongodb_documents import MongodbDocumentStore
from slackwater.testing.document_store_contract import DocumentStoreContract, OpenStore

pytestmark = pytest.mark.engine("mongodb")


@pytest.fixture
def url() -> str:
    return os.environ["SLACKWATER_MONGODB_URL"]


@pytest.fixture
async def database(url: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield name
    async with AsyncMongoClient(url) as client:
        await client.drop_database(name)


@pytest.fixture
async def open_store(url: str, database: str) -> AsyncIterator[OpenStore]:
    async with AsyncExitStack() as stack:

        async def open_one() -> DocumentStore:
            store = MongodbDocumentStore(url, database=database)
            stack.push_async_callback(store.close)
            return store

        yield open_one


class TestMongodbDocumentStore(DocumentStoreContract):
    pass
