"""The directives of clients are known to the schema, and impossible demands are refused."""

from __future__ import annotations

import pytest
from graphql import get_introspection_query, graphql_sync, parse, validate

from gateway.freshness.rules import FRESHNESS_RULES
from tests.unit.gateway.freshness_bench import SCHEMA, Bench


def problems(query: str) -> list[str]:
    return [error.message for error in validate(SCHEMA._schema, parse(query), FRESHNESS_RULES)]


def test_the_exported_schema_defines_the_directives() -> None:
    sdl = SCHEMA.as_str()
    assert (
        "directive @freshness(maxStalenessMs: Int!, onStale: OnStale = SERVE, "
        "timeoutMs: Int = 1000, allowHoles: Boolean = false) "
        "on QUERY | FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT"
    ) in sdl
    assert ("directive @readAfter(tokens: [String!]) on QUERY | MUTATION | SUBSCRIPTION") in sdl
    assert "directive @idempotent(key: String!) on MUTATION | FIELD" in sdl
    assert "enum OnStale {\n  SERVE\n  WAIT\n  SOURCE\n  FAIL\n  NULL\n}" in sdl


def test_introspection_knows_the_directives() -> None:
    found = graphql_sync(SCHEMA._schema, get_introspection_query()).data
    assert found is not None
    names = {directive["name"] for directive in found["__schema"]["directives"]}
    assert {"freshness", "readAfter", "idempotent", "projectedFrom", "skip"} <= names


@pytest.mark.parametrize(
    "query",
    [
        "{ customer @freshness(maxStalenessMs: 1) { name } }",
        "query @freshness(maxStalenessMs: 1, onStale: SOURCE) { customer { name orderCount } }",
        "query @freshness(maxStalenessMs: 0, onStale: NULL) { customer { name orderCount } }",
        "{ customer { lastOrder @freshness(maxStalenessMs: 1, onStale: NULL) } }",
        "{ search { edges { node @freshness(maxStalenessMs: 1, onStale: NULL) { __typename } } } }",
        "query ($n: Int!) { customer @freshness(maxStalenessMs: $n) { name } }",
        "{ customer @freshness(maxStalenessMs: 1) { id } customer { name } }",
        "{ customer @freshness(maxStalenessMs: 1) { id } "
        "customer @freshness(onStale: SERVE, maxStalenessMs: 1, timeoutMs: 1000) { name } }",
        "query @readAfter(tokens: []) { version }",
        "query @readAfter { version }",
        "query @readAfter(tokens: null) { version }",
    ],
)
def test_possible_demands_pass(query: str) -> None:
    assert problems(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "{ customer @freshness(maxStalenessMs: 1) { id } "
        "customer @freshness(maxStalenessMs: 2) { name } }",
        "{ customer { ...A @freshness(maxStalenessMs: 1) ...A @freshness(maxStalenessMs: 2) } } "
        "fragment A on Customer { orderCount }",
        "{ customer { ... @freshness(maxStalenessMs: 1) { orderCount } "
        "orderCount @freshness(maxStalenessMs: 1, onStale: FAIL) } }",
    ],
)
def test_merged_fields_may_not_contradict_each_other(query: str) -> None:
    (problem,) = problems(query)
    assert "contradict each other" in problem
    assert "use an alias" in problem


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (
            "{ customer { orderCount @freshness(maxStalenessMs: 1, onStale: NULL) } }",
            "Customer.orderCount",
        ),
        (
            "query @freshness(maxStalenessMs: 1, onStale: NULL) { customers { name } }",
            "Query.customers",
        ),
        (
            "{ customer { ... @freshness(maxStalenessMs: 1, onStale: NULL) { nick orderCount } } }",
            "Customer.orderCount",
        ),
        (
            "query ($n: Int!) { customers @freshness(maxStalenessMs: $n, onStale: NULL) { name } }",
            "Query.customers",
        ),
    ],
)
def test_a_field_that_is_never_null_cannot_become_null(query: str, name: str) -> None:
    (problem,) = problems(query)
    assert f"cannot make {name} null" in problem
    assert "write onStale: FAIL or SERVE" in problem


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (
            "{ search @freshness(maxStalenessMs: 1, onStale: SOURCE) { edges { __typename } } }",
            "Query.search",
        ),
        (
            "query @freshness(maxStalenessMs: 1, onStale: SOURCE) { customers { name } }",
            "Query.customers",
        ),
        (
            "{ customers { orderCount @freshness(maxStalenessMs: 1, onStale: SOURCE) } }",
            "Customer.orderCount",
        ),
    ],
)
def test_what_no_source_can_answer_is_not_asked_of_one(query: str, name: str) -> None:
    (problem,) = problems(query)
    assert f"no write service can answer {name}" in problem
    assert "write onStale: WAIT or FAIL" in problem


@pytest.mark.parametrize(
    "words",
    [
        "maxStalenessMs: -1",
        "maxStalenessMs: 1, timeoutMs: -1",
        "maxStalenessMs: 1, timeoutMs: 30001",
    ],
)
def test_numbers_out_of_range_are_refused(words: str) -> None:
    (problem,) = problems(f"{{ customer @freshness({words}) {{ name }} }}")
    assert "milliseconds" in problem


async def test_numbers_in_variables_are_checked_when_they_are_known() -> None:
    query = "query ($n: Int!) { customer @freshness(maxStalenessMs: $n) { name } }"
    result = await Bench().send(query, n=-5)
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "BAD_USER_INPUT"}


async def test_choices_in_variables_are_checked_when_they_are_known() -> None:
    query = """query ($how: OnStale!) {
      customers @freshness(maxStalenessMs: 1, onStale: $how) { name }
    }"""
    bench = Bench()
    for how in ("NULL", "SOURCE"):
        result = await bench.send(query, how=how)
        assert result.errors is not None
        assert "Query.customers" in result.errors[0].message
    assert (await bench.send(query, how="SERVE")).errors is None


def test_fragments_in_a_circle_are_left_to_the_rule_that_reports_them() -> None:
    query = "{ customer { ...A } } fragment A on Customer { orders { edges { node { ...B } } } } "
    query += "fragment B on Order { customer { ...A } }"
    assert problems(query) == []


def test_a_document_that_grows_without_bound_is_refused() -> None:
    orders = "customer { orders { edges { node { ...F%d } } } }"
    steps = "".join(
        f"fragment F{n} on Order {{ a: {orders % (n + 1)} b: {orders % (n + 1)} }}\n"
        for n in range(14)
    )
    query = (
        f"{{ search {{ edges {{ node {{ ...F0 }} }} }} }} {steps} fragment F14 on Order {{ id }}"
    )
    (problem,) = problems(query)
    assert "too costly" in problem


@pytest.mark.parametrize(
    "query",
    [
        '{ customer @idempotent(key: "K") { name } }',
        'mutation { rename(name: "x") { ... on Renamed { customer @idempotent(key: "K") '
        "{ name } } } }",
        'query { ...F } fragment F on Query { version @idempotent(key: "K") }',
    ],
)
async def test_a_key_belongs_to_a_mutation(query: str) -> None:
    result = await Bench().send(query)
    [error] = result.errors or []
    assert (error.extensions or {})["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "@idempotent has no meaning" in error.message


async def test_a_mutation_in_a_fragment_may_have_a_key() -> None:
    query = (
        'mutation { ...F } fragment F on Mutation { rename(name: "x") @idempotent(key: "K") %s }'
    )
    assert (await Bench().send(query % "{ __typename }")).errors is None
