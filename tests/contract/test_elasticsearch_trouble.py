"""Elasticsearch in trouble, told by a proxy that rewrites its replies: no trouble is silent."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from slackwater.errors import (
    ConfigurationError,
    PoisonousEventError,
    StructuralError,
    TransientError,
)
from slackwater.read_models.elasticsearch_errors import SearchUnavailableError
from slackwater.read_models.elasticsearch_search import ElasticsearchSearchIndex
from slackwater.read_models.search import PartialResultError, UnconfirmedError, UnknownIndexError
from slackwater.testing.search_index_contract import INDEX, entry, found_ids, search, write
from tests.contract.rewriting_proxy import Reply, Rewrite, RewritingProxy
from tests.engines import engine_url

pytestmark = pytest.mark.engine("elasticsearch")

_SEARCH = "_search"
_SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


@pytest.fixture
async def proxy() -> AsyncIterator[RewritingProxy]:
    proxy = RewritingProxy(engine_url("elasticsearch"))
    yield proxy
    await proxy.close()


@pytest.fixture
async def index(proxy: RewritingProxy) -> AsyncIterator[ElasticsearchSearchIndex]:
    index = _open(await proxy.start(), prefix=f"test-{uuid4().hex}-")
    await index.prepare(INDEX)
    yield index
    await index.drop(INDEX.name)
    await index.close()


def _open(url: str, **options: Any) -> ElasticsearchSearchIndex:
    return ElasticsearchSearchIndex(
        url, **{"secret": b"secret", "refresh_interval_ms": 1, "timeout_ms": 10_000, **options}
    )


def _with(**changes: Any) -> Rewrite:
    return lambda reply: Reply(reply.status, {**reply.body, **changes})


def _failing(status: int, kind: str, outer: str | None = None) -> Rewrite:
    cause = {"type": kind, "reason": "of the test"}
    error = {**cause, "type": outer or kind, "root_cause": [cause]}
    return lambda _: Reply(status, {"error": error, "status": status})


def _failing_items(*failures: tuple[int, str] | None) -> Rewrite:
    def rewrite(reply: Reply) -> Reply:
        items = reply.body["items"]
        for item, failure in zip(items, failures, strict=True):
            if failure is not None:
                status, kind = failure
                error = {"type": kind, "reason": "of the test"}
                item["index"].update(status=status, error=error)
        return Reply(reply.status, {**reply.body, "errors": True, "items": items})

    return rewrite


async def test_a_snapshot_that_went_with_its_copy_passes(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    await write(index, entry("a", "Coffee"))
    client: Any = index._client
    gone = (await client.open_point_in_time(index=index._alias(INDEX.name), keep_alive="1m"))["id"]
    await client.close_point_in_time(id=gone)
    with (
        proxy.rewriting("_pit", lambda reply: Reply(reply.status, {**reply.body, "id": gone})),
        pytest.raises(PartialResultError, match="search_context_missing"),
    ):
        await search(index, "coffee")
    assert await found_ids(index, "coffee") == ["a"]


@pytest.mark.parametrize(
    "rewrite",
    [
        _with(timed_out=True),
        _with(terminated_early=True),
        _with(_shards={**_SHARDS, "successful": 0, "failed": 1}),
        _with(_shards={**_SHARDS, "total": 2, "failed": 1}),
        _with(_shards={**_SHARDS, "total": 2}),
        _with(_shards={**_SHARDS, "total": 0, "successful": 0}),
        _failing(503, "no_shard_available_action_exception", "search_phase_execution_exception"),
        _failing(429, "es_rejected_execution_exception", "search_phase_execution_exception"),
    ],
)
async def test_a_search_that_is_not_whole_is_an_error(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy, rewrite: Rewrite
) -> None:
    await write(index, *(entry(f"{n}", "Coffee") for n in range(4)))
    [*_, last] = (await search(index, "coffee", limit=2)).hits
    with proxy.rewriting(_SEARCH, rewrite):
        for after in (None, last.cursor):
            with pytest.raises(PartialResultError, match=r"contract_search.*; try again"):
                await search(index, "coffee", limit=2, after=after)
    assert await found_ids(index, "coffee", limit=2, after=last.cursor) == ["2", "3"]


async def test_a_count_that_is_not_whole_is_an_error(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    failed = _with(_shards={**_SHARDS, "successful": 0, "failed": 1})
    with proxy.rewriting(_SEARCH, failed), pytest.raises(PartialResultError):
        await index.count(INDEX.name)


async def test_a_row_that_the_primary_refuses_and_no_copy_shows_is_not_taken_for_written(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    await index.write(INDEX.name, [entry("a", "Coffee", version=3)])
    lagging = _with(docs=[{"_id": "a", "found": False}])
    with proxy.rewriting("_mget", lagging), pytest.raises(SearchUnavailableError):
        await index.write(INDEX.name, [entry("a", "Tea", version=2)])
    with proxy.rewriting("_mget", lagging), pytest.raises(UnconfirmedError):
        await index.confirm(INDEX.name, {"a": 3})
    await index.write(INDEX.name, [entry("a", "Tea", version=2)])
    assert (await index.get(INDEX.name, ["a"]))["a"].version == 3


@pytest.mark.parametrize(
    "shards",
    [{"total": 2, "successful": 1, "failed": 1}, {"total": 2, "successful": 0, "failed": 0}],
)
async def test_a_refresh_that_missed_a_copy_is_no_refresh(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy, shards: dict[str, int]
) -> None:
    with proxy.rewriting("_refresh", _with(_shards=shards)), pytest.raises(TransientError):
        await index.refresh(INDEX.name)
    await index.refresh(INDEX.name)


async def test_a_copy_that_is_not_assigned_does_not_hold_up_a_refresh(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    shards = {"total": 2, "successful": 1, "failed": 0}
    with proxy.rewriting("_refresh", _with(_shards=shards)):
        await index.refresh(INDEX.name)


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([None, (429, "es_rejected_execution_exception"), None], SearchUnavailableError),
        ([None, (503, "unavailable_shards_exception"), None], SearchUnavailableError),
        ([None, (500, "translog_exception"), None], SearchUnavailableError),
        ([(400, "document_parsing_exception"), (429, "x"), None], SearchUnavailableError),
        ([None, (400, "document_parsing_exception"), None], PoisonousEventError),
        ([None, (404, "index_not_found_exception"), None], UnknownIndexError),
        ([None, (403, "security_exception"), None], ConfigurationError),
        ([None, (400, "index_closed_exception"), None], StructuralError),
    ],
)
async def test_a_bulk_that_failed_in_part_says_of_what_kind_and_can_be_repeated(
    index: ElasticsearchSearchIndex,
    proxy: RewritingProxy,
    failures: list[tuple[int, str] | None],
    expected: type[Exception],
) -> None:
    rows = [entry("a", "Coffee"), entry("b", "Coffee", version=2), entry("c", "Coffee")]
    with proxy.rewriting("_bulk", _failing_items(*failures)), pytest.raises(expected):
        await index.write(INDEX.name, rows)
    await write(index, *rows)
    assert await found_ids(index, "coffee") == ["a", "b", "c"]
    assert (await index.get(INDEX.name, ["b"]))["b"].version == 2


async def test_a_shard_that_cannot_be_read_is_not_a_missing_document(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    error = {"type": "no_shard_available_action_exception", "reason": "of the test"}
    unread = _with(docs=[{"_id": "a", "error": error}])
    with proxy.rewriting("_mget", unread), pytest.raises(SearchUnavailableError):
        await index.get(INDEX.name, ["a"])


@pytest.mark.parametrize(
    ("rewrite", "expected", "remedy"),
    [
        (_with(version={"number": "8.19.3"}), ConfigurationError, "use version 9"),
        (_failing(400, "media_type_header_exception"), ConfigurationError, "of version 9"),
        (_failing(401, "security_exception"), ConfigurationError, "user or API key"),
        (_failing(403, "security_exception"), ConfigurationError, "user or API key"),
        (_failing(503, "cluster_block_exception"), SearchUnavailableError, "try again"),
        (_failing(502, "(a balancer)"), SearchUnavailableError, "try again"),
    ],
)
async def test_a_server_that_cannot_serve_us_says_so(
    index: ElasticsearchSearchIndex,
    proxy: RewritingProxy,
    rewrite: Rewrite,
    expected: type[Exception],
    remedy: str,
) -> None:
    with proxy.rewriting("/", rewrite), pytest.raises(expected, match=remedy):
        await index.prepare(INDEX)


async def test_another_product_is_refused(proxy: RewritingProxy) -> None:
    proxy.hidden_headers.add("x-elastic-product")
    index = _open(await proxy.start())
    with pytest.raises(ConfigurationError, match="not Elasticsearch 9"):
        await index.prepare(INDEX)
    await index.close()


async def test_a_server_without_an_analyser_is_refused(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    await index.drop(INDEX.name)
    missing = _failing(400, "illegal_argument_exception")
    with proxy.rewriting("-v1", missing), pytest.raises(ConfigurationError, match="analysis"):
        await index.prepare(INDEX)


@pytest.mark.parametrize(
    ("user", "options", "header"),
    [
        ("", {}, None),
        ("ada:s3cret@", {}, "Basic YWRhOnMzY3JldA=="),
        ("", {"api_key": "key"}, "ApiKey key"),
    ],
)
async def test_credentials_come_with_the_url_or_as_an_api_key(
    index: ElasticsearchSearchIndex,
    proxy: RewritingProxy,
    user: str,
    options: dict[str, str],
    header: str | None,
) -> None:
    authenticated = _open(proxy.address.replace("//", f"//{user}"), **options)
    await authenticated.drop("nothing")
    assert proxy.requests[-1].headers.get("Authorization") == header
    await authenticated.close()


@pytest.mark.parametrize(
    ("url", "options"),
    [("nowhere", {}), ("http://host", {}), ("http://a:b@host:1", {"api_key": "key"})],
)
def test_an_address_that_is_none_is_refused(url: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="use http://host:9200"):
        _open(url, **options)


async def test_a_server_that_is_away_is_trouble_that_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    index = _open(f"http://127.0.0.1:{port}")
    for step in _every_step(index):
        with pytest.raises(SearchUnavailableError, match="see that it runs"):
            await step
    await index.close()


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = _open(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_ms=50)
        begun_s = time.monotonic()
        for step in _every_step(index):
            with pytest.raises(SearchUnavailableError):
                await step
        assert time.monotonic() - begun_s < 3
        await index.close()


async def test_the_same_handle_goes_on_when_the_server_is_back(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    await write(index, entry("a", "Coffee"))
    with proxy.rewriting(_SEARCH, _failing(503, "x")), pytest.raises(TransientError):
        await search(index, "coffee")
    assert await found_ids(index, "coffee") == ["a"]


async def test_callers_share_a_refresh_that_began_after_their_writes(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    await index.write(INDEX.name, [entry("a", "Coffee")])
    await asyncio.gather(*(index.refresh(INDEX.name) for _ in range(20)))
    assert proxy.count("_refresh") == 1
    assert await found_ids(index, "coffee") == ["a"]


async def test_a_page_that_is_not_full_leaves_no_snapshot_open(
    index: ElasticsearchSearchIndex, proxy: RewritingProxy
) -> None:
    await write(index, *(entry(f"{n}", "Coffee") for n in range(4)))
    for _ in range(3):
        await search(index, "coffee", limit=5)
    with proxy.rewriting(_SEARCH, _with(timed_out=True)), pytest.raises(PartialResultError):
        await search(index, "coffee", limit=2)
    pits = [request.method for request in proxy.requests if request.path.endswith("_pit")]
    assert pits == ["POST", "DELETE"] * 4


def _every_step(index: ElasticsearchSearchIndex) -> list[Any]:
    return [
        index.prepare(INDEX),
        index.get(INDEX.name, ["a"]),
        index.write(INDEX.name, [entry("a", "Coffee")]),
        index.refresh(INDEX.name),
        search(index, "coffee"),
        index.count(INDEX.name),
        index.drop(INDEX.name),
    ]
