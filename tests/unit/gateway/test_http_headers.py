"""The headers that carry tokens, keys and correlation ids, and the negotiation of media types."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gateway.http.media_type import MediaType, negotiated
from gateway.http.refusal import Refusal
from slackwater.freshness.token import ConsistencyToken, TokenSigner
from slackwater.watermarks.tick import Tick
from tests.small_schema import SIGNER, TOKEN, Heads, client_of, small_app

TOKEN_HEADER = "Slackwater-Consistency-Token"
CORRELATION_HEADER = "Slackwater-Correlation-Id"
OTHER = ConsistencyToken(ticks={"customers": Tick(1, 9), "orders": Tick(2, 1)})
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


async def post(
    headers: Any = None, query: str = "{ __typename }", heads: Heads | None = None
) -> httpx2.Response:
    async with client_of(small_app(heads)) as client:
        return await client.post("/graphql", json={"query": query}, headers=headers)


async def test_who_has_written_gets_the_token_of_the_write() -> None:
    response = await post(query="mutation { write }")
    assert SIGNER.decode(response.headers[TOKEN_HEADER]) == TOKEN


async def test_who_has_not_written_gets_no_token() -> None:
    assert TOKEN_HEADER not in (await post()).headers


async def test_tokens_of_several_headers_and_of_a_list_are_merged() -> None:
    heads, texts = Heads(), [SIGNER.encode(TOKEN), SIGNER.encode(OTHER)]
    await post([(TOKEN_HEADER, texts[0]), (TOKEN_HEADER, texts[1])], heads=heads)
    await post({TOKEN_HEADER: ", ".join(texts)}, heads=heads)
    assert [head.read_after for head in heads.heads] == [TOKEN.merge(OTHER)] * 2


@pytest.mark.parametrize(
    "text",
    ["broken", TokenSigner(b"forger").encode(TOKEN), "x" * 5_000, ",".join(["a"] * 17)],
)
async def test_a_broken_token_is_refused(text: str) -> None:
    response = await post({TOKEN_HEADER: text})
    code = response.json()["errors"][0]["extensions"]["code"]
    assert (response.status_code, code) == (400, "INVALID_CONSISTENCY_TOKEN")


@pytest.mark.parametrize("text", ["8e03978e-40d5", '"8e03978e-40d5"'])
async def test_an_idempotency_key_is_taken_with_and_without_quotes(text: str) -> None:
    heads = Heads()
    await post({"Idempotency-Key": text}, heads=heads)
    assert heads.heads[0].idempotency_key == "8e03978e-40d5"


@pytest.mark.parametrize("text", ["", '""', "k" * 256, "two words"])
async def test_an_unfit_idempotency_key_is_refused(text: str) -> None:
    response = await post({"Idempotency-Key": text})
    code = response.json()["errors"][0]["extensions"]["code"]
    assert (response.status_code, code) == (400, "BAD_REQUEST")


async def test_a_correlation_id_is_taken_and_returned() -> None:
    response = await post({CORRELATION_HEADER: "checkout-7"}, "{ correlationId }")
    assert response.json()["data"] == {"correlationId": "checkout-7"}
    assert response.headers[CORRELATION_HEADER] == "checkout-7"


@pytest.mark.parametrize("named", ["", "two words", "x" * 129, 'in"jection'])
async def test_an_unfit_correlation_id_is_replaced(named: str) -> None:
    made = (await post({CORRELATION_HEADER: named})).headers[CORRELATION_HEADER]
    assert made
    assert made != named


async def test_a_trace_is_the_correlation_id_where_none_is_named() -> None:
    heads = Heads()
    response = await post({"traceparent": TRACEPARENT}, heads=heads)
    assert response.headers[CORRELATION_HEADER] == TRACE_ID
    assert heads.heads[0].cause.traceparent == TRACEPARENT


@pytest.mark.parametrize("text", ["", "ff" + TRACEPARENT[2:], f"00-{'0' * 32}-00f067aa0ba902b7-01"])
async def test_a_broken_trace_is_not_taken(text: str) -> None:
    heads = Heads()
    await post({"traceparent": text}, heads=heads)
    assert heads.heads[0].cause.traceparent is None


async def test_refusals_have_a_correlation_id_too() -> None:
    async with client_of(small_app()) as client:
        assert CORRELATION_HEADER in (await client.put("/graphql")).headers


async def test_no_answer_is_kept_by_a_cache() -> None:
    async with client_of(small_app()) as client:
        response = await client.get("/graphql", params={"query": "{ __typename }"})
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, MediaType.JSON),
        ("*/*", MediaType.JSON),
        ("application/graphql-response+json, application/json", MediaType.GRAPHQL),
        ("application/json, application/graphql-response+json", MediaType.JSON),
        ("application/json;q=0.5, application/graphql-response+json", MediaType.GRAPHQL),
        ("application/graphql-response+json;q=0, */*;q=0.1", MediaType.JSON),
        ("text/html, APPLICATION/GRAPHQL-RESPONSE+JSON; charset=utf-8", MediaType.GRAPHQL),
        ("text/event-stream", MediaType.EVENTS),
    ],
)
def test_the_client_chooses_the_media_type(accept: str | None, media_type: MediaType) -> None:
    assert negotiated(accept) is media_type


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*;q=x"])
def test_nothing_acceptable_is_a_refusal(accept: str) -> None:
    with pytest.raises(Refusal):
        negotiated(accept)
