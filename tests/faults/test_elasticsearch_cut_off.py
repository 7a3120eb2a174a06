"""A node of Elasticsearch that is cut off from the others, and not from a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from slackwater.errors import TransientError
from slackwater.read_models.elasticsearch_search import ElasticsearchSearchIndex
from slackwater.read_models.search import PartialResultError
from slackwater.testing.search_index_contract import INDEX, entry, search, write
from tests.faults.elasticsearch_pair import running_pair

pytestmark = [pytest.mark.engine("elasticsearch"), pytest.mark.timeout(300)]

_DEADLINE_S = 90


async def _at_last(work: Callable[[], Awaitable[str]]) -> str:
    """Do it again until it is done, as a projector does."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            try:
                return await work()
            except TransientError:
                await asyncio.sleep(0.2)


async def test_a_node_that_is_cut_off_answers_no_search_that_asks_for_a_stamp() -> None:
    async with running_pair() as pair, AsyncExitStack() as stack:
        projector, gateway = (
            ElasticsearchSearchIndex(url, secret=b"secret", refresh_interval_ms=1)
            for url in (pair.main_url, pair.second_url)
        )
        stack.push_async_callback(projector.close)
        stack.push_async_callback(gateway.close)

        async def written_and_shown(row_id: str) -> str:
            await write(projector, entry(row_id, "Coffee"))
            return await projector.refresh(INDEX.name)

        async def shown_on_both(stamp: str, count: int) -> str:
            assert (await search(gateway, "coffee", stamp=stamp)).total == count
            return await projector.refresh(INDEX.name)

        await projector.prepare(INDEX)
        first = await _at_last(lambda: written_and_shown("a"))
        await _at_last(lambda: shown_on_both(first, 1))
        assert await gateway.count(INDEX.name, first) == 1

        pair.cut()
        second = await _at_last(lambda: written_and_shown("b"))
        # The danger is real: without a stamp it answers, whole in its own eyes, what is old.
        assert (await search(gateway, "coffee")).total == 1
        assert (await search(gateway, "coffee", stamp=first)).total == 1
        for asking in (search(gateway, "coffee", stamp=second), gateway.count(INDEX.name, second)):
            with pytest.raises(PartialResultError, match="lacks what was acknowledged"):
                await asking
        assert (await search(projector, "coffee", stamp=second)).total == 2

        pair.heal()
        await _at_last(lambda: shown_on_both(second, 2))
