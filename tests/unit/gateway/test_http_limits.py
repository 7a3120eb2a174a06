"""The limits of one request: its body, its document, and what HTTP lets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from graphql import get_introspection_query, parse

from gateway.http.document_cost import Cost, cost_of
from gateway.http.limits import Limits
from tests.small_schema import client_of, small_app

JSON = {"content-type": "application/json"}
LIMITS = Limits(body_bytes_max=1_000, tokens_max=100, depth_max=3, fields_max=6, aliases_max=2)


async def post(content: Any, limits: Limits = LIMITS, **options: Any) -> httpx2.Response:
    options = {"headers": JSON, **options}
    async with client_of(small_app(limits=limits)) as client:
        return await client.post("/graphql", content=content, **options)


async def ask(query: str, limits: Limits = LIMITS) -> dict[str, Any]:
    async with client_of(small_app(limits=limits)) as client:
        answer: dict[str, Any] = (await client.post("/graphql", json={"query": query})).json()
        return answer


def code_of(response: httpx2.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


async def chunks(size_bytes: int) -> AsyncIterator[bytes]:
    for _ in range(size_bytes // 100):
        yield b" " * 100


async def test_a_body_that_says_it_is_too_large_is_refused() -> None:
    response = await post(b" " * 1_001)
    assert (response.status_code, code_of(response)) == (413, "BAD_REQUEST")


async def test_a_body_that_does_not_say_its_size_is_counted() -> None:
    response = await post(chunks(1_100))
    assert "content-length" not in response.request.headers
    assert (response.status_code, code_of(response)) == (413, "BAD_REQUEST")


async def test_a_chunked_body_within_the_limit_is_read() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"query": '
        yield b'"{ __typename }"}'

    assert (await post(body())).json()["data"] == {"__typename": "Query"}


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    response = await post(body(), Limits(body_timeout_s=0.02))
    assert (response.status_code, code_of(response)) == (408, "BAD_REQUEST")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    async with client_of(small_app()) as client:
        response = await client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    assert code_of(response) == "BAD_REQUEST"


async def test_a_mutation_needs_post() -> None:
    async with client_of(small_app()) as client:
        response = await client.get("/graphql", params={"query": "mutation { write }"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_subscription_needs_a_stream() -> None:
    response = await post(b'{"query": "subscription { count }"}')
    assert response.status_code == 400
    assert "WebSocket" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""],
)
async def test_other_content_types_are_not_supported(content_type: str) -> None:
    response = await post(b'{"query": "{ __typename }"}', headers={"content-type": content_type})
    assert (response.status_code, code_of(response)) == (415, "BAD_REQUEST")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"null", b'{"query": ""}', b'"\xff"'])
async def test_a_body_without_an_operation_is_refused(body: bytes) -> None:
    response = await post(body)
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_an_answer_that_cannot_be_given_is_not_acceptable() -> None:
    body = b'{"query": "{ __typename }"}'
    response = await post(body, headers={**JSON, "accept": "image/png"})
    assert response.status_code == 406


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("{ customers { edges { node { name } } } }", "depth"),
        ("{ " + "__typename " * 7 + "}", "fields"),
        ("{ a: __typename b: __typename c: __typename }", "aliases"),
    ],
)
async def test_a_document_beyond_a_limit_is_too_costly(query: str, limit: str) -> None:
    extensions = (await ask(query))["errors"][0]["extensions"]
    assert (extensions["code"], extensions["limit"]) == ("OPERATION_TOO_COSTLY", limit)


async def test_a_document_at_the_limits_is_executed() -> None:
    answer = await ask("{ a: __typename b: __typename customers { edges { __typename } } }")
    assert "errors" not in answer


async def test_a_document_of_too_many_tokens_is_too_costly() -> None:
    errors = (await ask("{ " + "echo " * 100 + "}"))["errors"]
    assert errors[0]["extensions"]["code"] == "OPERATION_TOO_COSTLY"


async def test_a_refused_document_is_refused_again_from_memory() -> None:
    async with client_of(small_app(limits=LIMITS)) as client:
        body = {"query": "{ a: __typename b: __typename c: __typename }"}
        first, second = [(await client.post("/graphql", json=body)).json() for _ in range(2)]
    assert first == second


async def test_fragments_that_double_are_counted_without_expanding_them() -> None:
    fragments = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(100)]
    last = "fragment f100 on Query { __typename }"
    document = parse(" ".join(["{ ...f0 }", *fragments, last]))
    assert cost_of(document) == Cost(depth=1, fields=2**100, aliases=0)


async def test_fragments_in_a_circle_are_left_to_validation() -> None:
    errors = (await ask("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"))[
        "errors"
    ]
    assert errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_fragments_nested_without_end_are_too_costly() -> None:
    fragments = [f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(450)]
    query = " ".join(["{ ...f0 }", *fragments, "fragment f450 on Query { __typename }"])
    assert (await ask(query, Limits()))["errors"]


async def test_the_standard_introspection_is_within_the_limits() -> None:
    query = get_introspection_query(input_value_deprecation=True)
    assert "errors" not in await ask(query, Limits())
