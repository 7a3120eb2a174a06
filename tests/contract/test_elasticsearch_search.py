"""Elasticsearch as a search index: the contract, and what only a real engine could get wrong."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from slackwater.read_models.elasticsearch_search import ElasticsearchSearchIndex
from slackwater.read_models.search import SearchIndex
from slackwater.testing.search_index_contract import INDEX, OpenIndex, SearchIndexContract

pytestmark = pytest.mark.engine("elasticsearch")


@pytest.fixture
def url() -> str:
    return os.environ["SLACKWATER_ELASTICSEARCH_URL"]


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid4().hex}-"


@pytest.fixture
async def open_index(url: str, prefix: str) -> AsyncIterator[OpenIndex]:
    async with AsyncExitStack() as stack:

        async def open_one() -> SearchIndex:
            index = ElasticsearchSearchIndex(
                url, secret=b"secret", prefix=prefix, refresh_interval_ms=1
            )
            stack.push_async_callback(index.close)
            return index

        yield open_one
        await (await open_one()).drop(INDEX.name)


class TestElasticsearchSearchIndex(SearchIndexContract):
    pass
