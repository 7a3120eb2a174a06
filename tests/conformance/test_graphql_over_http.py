"""The audits of the GraphQL-over-HTTP specification, under the ids that its reference suite gives.

A sentence says MUST or SHOULD as the specification does; all of them hold here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.small_schema import client_of, small_app

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
OK = range(200, 201)
BAD = range(400, 401)
FAILED = range(400, 600)
CLIENT_FAILED = range(400, 500)
ANY = range(200, 600)

TYPENAME = "{ __typename }"
UNKNOWN_FIELD = "{ 8f31403dfe404bccbb0e835f2629c6a7 }"
BY_NAME = "query Type($name: String!) { __type(name: $name) { name } }"
COERCION = "query CoerceFailure($id: ID!){ __typename }"
NOT_A_STRING = [{"obj": "ect"}, 0, False, ["array"]]
NOT_AN_OBJECT = ["string", 0, False, ["array"]]


@dataclass(frozen=True)
class Audit:
    """One request with what its answer must be like."""

    id: str
    sentence: str
    statuses: range
    body: Any = None
    text: str | None = None
    params: dict[str, str] | None = None
    accept: str | None = None
    content_type: str | None = JSON
    answers_with: str | None = None
    has_errors: bool | None = None
    has_data: bool | None = None

    def __str__(self) -> str:
        return f"{self.id} {self.sentence}"


def query(text: str = TYPENAME, **others: Any) -> dict[str, Any]:
    return {"query": text, **others}


def media_types() -> list[Audit]:
    runner = '{ __type(name: "Run🏃Swim🏊") { name } }'
    return [
        Audit(
            "22EB",
            "SHOULD accept graphql-response+json",
            OK,
            query(),
            accept=GRAPHQL,
            answers_with=GRAPHQL,
        ),
        Audit("4655", "MUST accept application/json", OK, query(), accept=JSON, answers_with=JSON),
        Audit(
            "47DE",
            "SHOULD accept */* and answer with JSON",
            OK,
            query(),
            accept="*/*",
            answers_with=JSON,
        ),
        Audit("80D8", "SHOULD assume JSON without accept", OK, query(), answers_with=JSON),
        Audit("82A3", "MUST use utf-8 when responding", OK, query()),
        Audit(
            "BF61",
            "MUST accept utf-8 encoded requests",
            OK,
            query(runner),
            content_type="application/json; charset=utf-8",
        ),
        Audit("78D5", "MUST assume utf-8 if encoding is unspecified", OK, query()),
    ]


def methods() -> list[Audit]:
    return [
        Audit("2C94", "MUST accept POST requests", OK, query()),
        Audit("5A70", "MAY accept GET requests", OK, params=query(), accept="*/*"),
        Audit(
            "9C48",
            "MUST NOT execute mutations on GET",
            CLIENT_FAILED,
            params=query("mutation { __typename }"),
            accept=GRAPHQL,
        ),
        Audit(
            "9ABE",
            "SHOULD respond 4xx without content-type",
            CLIENT_FAILED,
            query(),
            content_type=None,
        ),
        Audit("03D4", "MUST accept application/json POST requests", OK, query()),
        Audit("A5BF", "MAY use 400 when the body is missing", BAD, text=""),
    ]


def invalid_parameters() -> list[Audit]:
    def each(prefix: str, parameter: str, values: list[Any]) -> list[Audit]:
        return [
            Audit(
                f"{prefix}{n}",
                f"MAY use 400 on {parameter} {value!r}",
                BAD,
                {**query(), parameter: value},
            )
            for n, value in enumerate(values)
        ]

    return [
        Audit(
            "423L", "MAY use 400 on a missing query", BAD, {"notquery": TYPENAME}, accept=GRAPHQL
        ),
        *each("LKJ", "query", NOT_A_STRING),
        *each("6C0", "operationName", NOT_A_STRING),
        *each("476", "variables", NOT_AN_OBJECT),
        *each("58B", "extensions", NOT_AN_OBJECT),
        Audit("8764", "MAY use 4xx or 5xx if parameters are invalid", FAILED, {"qeury": TYPENAME}),
        Audit("3E3A", "MAY use 400 if parameters are invalid", BAD, {"qeury": TYPENAME}),
    ]


def valid_parameters() -> list[Audit]:
    named = query("query Query { __typename }", operationName="Query")
    by_name = query(BY_NAME, variables={"name": "sometype"})
    in_url = query(BY_NAME, variables=json.dumps({"name": "sometype"}))
    extended = query(extensions={"some": "value"})

    def both(ids: tuple[str, str], what: str, body: dict[str, Any]) -> list[Audit]:
        return [
            Audit(
                ids[0], f"SHOULD allow {what} (graphql)", OK, body, accept=GRAPHQL, has_errors=False
            ),
            Audit(ids[1], f"MUST allow {what} (json)", OK, body, accept=JSON, has_errors=False),
        ]

    return [
        *both(("34A2", "13EE"), "a string query", query()),
        *both(("8161", "B8B3"), "a string operationName", named),
        *both(("94B0", "0220"), "null variables", query(variables=None)),
        *both(("94B1", "0221"), "null operationName", query(operationName=None)),
        *both(("94B2", "0222"), "null extensions", query(extensions=None)),
        *both(("2EA1", "28B9"), "a map of variables", by_name),
        *both(("428F", "1B7A"), "a map of extensions", extended),
        Audit(
            "D6D5",
            "MAY allow variables in GETs (graphql)",
            OK,
            params=in_url,
            accept=GRAPHQL,
            has_errors=False,
        ),
        Audit(
            "6A70",
            "MAY allow variables in GETs (json)",
            OK,
            params=in_url,
            accept=JSON,
            has_errors=False,
        ),
    ]


def failures() -> list[Audit]:
    broken, coerced = '{ "not a JSON', query(COERCION, variables={"id": None})

    def refused(audit_id: str, sentence: str, statuses: range, body: Any) -> Audit:
        return Audit(
            audit_id, sentence, statuses, body, accept=GRAPHQL, has_errors=True, has_data=False
        )

    return [
        Audit(
            "B6DC", "MAY use 2xx, 4xx or 5xx on broken JSON (json)", ANY, text=broken, accept=JSON
        ),
        Audit("BCF8", "SHOULD use 400 on broken JSON (json)", BAD, text=broken, accept=JSON),
        Audit("B7N8", "SHOULD use 400 on broken JSON (graphql)", BAD, text=broken, accept=GRAPHQL),
        Audit("572B", "SHOULD use 200 on parsing failure (json)", OK, query("{"), accept=JSON),
        Audit(
            "FDE2",
            "SHOULD use 200 on validation failure (json)",
            OK,
            query(UNKNOWN_FIELD),
            accept=JSON,
        ),
        Audit("7B9B", "SHOULD use 200 on coercion failure (json)", OK, coerced, accept=JSON),
        refused("865D", "SHOULD use 4xx or 5xx on parsing failure", FAILED, query("{")),
        refused("556A", "SHOULD use 400 on parsing failure", BAD, query("{")),
        refused("D586", "SHOULD have no data on parsing failure", BAD, query("{")),
        refused(
            "51FE", "SHOULD use 4xx or 5xx on validation failure", FAILED, query(UNKNOWN_FIELD)
        ),
        refused("74FF", "SHOULD use 400 on validation failure", BAD, query(UNKNOWN_FIELD)),
        refused("5E5B", "SHOULD have no data on validation failure", BAD, query(UNKNOWN_FIELD)),
        refused("86EE", "SHOULD use 400 on coercion failure", BAD, coerced),
    ]


AUDITS = [
    *media_types(),
    *methods(),
    *invalid_parameters(),
    *valid_parameters(),
    *failures(),
]


async def answer_to(audit: Audit) -> httpx2.Response:
    headers = {"accept": audit.accept, "content-type": audit.content_type}
    given = {name: value for name, value in headers.items() if value is not None}
    async with client_of(small_app()) as client:
        del client.headers["accept"]
        if audit.params is not None:
            given.pop("content-type", None)
            return await client.get("/graphql", params=audit.params, headers=given)
        text = json.dumps(audit.body, ensure_ascii=False) if audit.text is None else audit.text
        return await client.post("/graphql", content=text.encode(), headers=given)


@pytest.mark.parametrize("audit", AUDITS, ids=str)
async def test_the_specification_is_kept(audit: Audit) -> None:
    response = await answer_to(audit)
    content_type = response.headers["content-type"]
    body = json.loads(response.content.decode("utf-8"))
    assert response.status_code in audit.statuses
    assert audit.answers_with is None or content_type.startswith(audit.answers_with)
    assert audit.has_errors is None or ("errors" in body) is audit.has_errors
    assert audit.has_data is None or ("data" in body) is audit.has_data


async def test_all_audits_are_here_once() -> None:
    assert len({audit.id for audit in AUDITS}) == len(AUDITS) == 61
