"""Errors over HTTP: coded, masked where unforeseen, and to be found in the log by their id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict

from gateway.http.limits import Limits
from gateway.http.request_head import RequestHead
from gateway.request import Request
from tests.small_schema import client_of, small_app

GRAPHQL = {"accept": "application/graphql-response+json"}


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture.entries
    structlog.reset_defaults()


async def post(query: str, limits: Limits | None = None, **options: Any) -> httpx2.Response:
    async with client_of(small_app(limits=limits)) as client:
        return await client.post("/graphql", json={"query": query}, **options)


def error_of(response: httpx2.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["errors"][0]
    return error


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($a: Int) { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($a: Int, $a: Int) { echo(times: $a) }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($a: Nope) { echo(times: $a) }", "GRAPHQL_VALIDATION_FAILED"),
        ('query ($n: Int!) { echo(text: "x", times: $n) }', "BAD_USER_INPUT"),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("{ refusal }", "BAD_USER_INPUT"),
        ("{ explosion }", "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_every_error_has_its_code(query: str, code: str) -> None:
    assert error_of(await post(query))["extensions"]["code"] == code


async def test_the_hash_of_a_query_alone_asks_for_the_query() -> None:
    async with client_of(small_app()) as client:
        body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}}
        asked = await client.post("/graphql", json=body)
        given = await client.post("/graphql", json={**body, "query": "{ __typename }"})
    assert asked.status_code == 200
    assert error_of(asked)["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert given.json()["data"] == {"__typename": "Query"}


async def test_an_unknown_operation_name_is_a_request_error() -> None:
    async with client_of(small_app()) as client:
        body = {"query": "query A { __typename }", "operationName": "B"}
        response = await client.post("/graphql", json=body, headers=GRAPHQL)
    assert response.status_code == 400
    assert error_of(response)["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"


async def test_a_null_given_to_a_required_argument_is_the_clients_error() -> None:
    query = 'query ($n: Int = 2) { echo(text: "x", times: $n) }'
    async with client_of(small_app()) as client:
        response = await client.post("/graphql", json={"query": query, "variables": {"n": None}})
    assert error_of(response)["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_refusal_keeps_its_message_and_data() -> None:
    error = error_of(await post("{ refusal }"))
    assert error["message"] == "no such thing; ask for another"
    assert error["extensions"] == {"thing": 1, "code": "BAD_USER_INPUT"}
    assert error["path"] == ["refusal"]


async def test_an_unexpected_error_is_masked(logged: list[EventDict]) -> None:
    response = await post("{ explosion }", headers={"Slackwater-Correlation-Id": "c-1"})
    entry = next(entry for entry in logged if entry["event"] == "internal error")
    assert "hunter2" not in response.text
    assert error_of(response)["path"] == ["explosion"]
    assert error_of(response)["extensions"]["errorId"] == entry["error_id"]
    assert entry["correlation_id"] == "c-1"
    assert str(entry["exc_info"]) == "the password is hunter2"


async def test_one_error_is_logged_once(logged: list[EventDict]) -> None:
    await post("{ explosion }")
    assert [entry["event"] for entry in logged] == ["operation", "internal error"]


async def test_a_field_error_that_empties_the_answer_is_no_request_error() -> None:
    response = await post("{ requiredExplosion }", headers=GRAPHQL)
    assert response.status_code == 200
    assert response.json()["data"] is None


async def test_a_failing_request_factory_is_masked(logged: list[EventDict]) -> None:
    def fails(head: RequestHead) -> Request:
        raise RuntimeError("hunter2")

    async with client_of(small_app(fails)) as client:
        response = await client.post("/graphql", json={"query": "{ __typename }"})
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert error_of(response)["extensions"]["errorId"] == logged[0]["error_id"]


async def test_an_operation_has_a_deadline() -> None:
    response = await post("{ eternity }", Limits(operation_timeout_s=0.02), headers=GRAPHQL)
    assert response.status_code == 504
    assert error_of(response)["extensions"]["code"] == "OPERATION_TIMEOUT"


async def test_each_operation_is_one_line_in_the_log(logged: list[EventDict]) -> None:
    await post("query Greeting { refusal }", headers={"Slackwater-Correlation-Id": "c-1"})
    (line,) = logged
    assert (line["event"], line["name"]) == ("operation", "Greeting")
    assert line["errors"] == ["BAD_USER_INPUT"]
    assert line["correlation_id"] == "c-1"
    assert line["ms"] >= 0


async def test_events_carry_masked_errors_too() -> None:
    response = await post("subscription { failing }", headers={"accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert '"data":{"failing":1}' in response.text
    assert "errorId" in response.text
    assert "hunter2" not in response.text
