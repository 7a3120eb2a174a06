"""Pages in pages multiply, and an operation that asks for too many items is refused."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from gateway.http.documents import Documents
from gateway.http.limits import Limits
from gateway.http.page_cost import items_of
from gateway.schema.schema import make_schema

SCHEMA = make_schema()._schema
NESTED = "customers(first: %s) { edges { node { orders(first: %s) { edges { cursor } } } } }"
DEEP = """query ($n: Int = %s) { customers(first: $n) { edges { node { orders(first: $n) { edges {
  node { customer { orders(first: $n) { edges { cursor } } } } } } } } } }"""


def items(query: str, **sizes: int) -> int:
    return items_of(SCHEMA, parse(query), sizes)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("{ readModels { name } }", 0),
        ("{ customers(first: 7) { edges { cursor } } }", 7),
        ("{ customers { edges { cursor } } }", 20),
        ("{ customers(first: null) { edges { cursor } } }", 20),
        ("{ %s }" % (NESTED % (10, 5)), 60),
        (f"{{ a: {NESTED % (10, 5)} b: {NESTED % (2, 1)} }}", 64),
        ("{ ...F } fragment F on Query { %s }" % (NESTED % (10, 5)), 60),
        ("query A { %s } query B { orders(first: 3) { edges { cursor } } }" % (NESTED % (2, 1)), 4),
        ("{ search(text: \"x\", first: 3) { edges { node { ... on Customer { orders(first: 2) "
         "{ edges { cursor } } } } } } }", 9),
        ("{ customers(first: 1000000) { edges { cursor } } }", 100),
        ("{ customers(first: -5) { edges { cursor } } }", 0),
    ],
)  # fmt: skip
def test_items_are_counted_by_the_sizes_of_pages(query: str, count: int) -> None:
    assert items(query) == count


def refusals(query: str, **variables: Any) -> list[Any]:
    documents = Documents(SCHEMA, Limits())
    found = documents.refusals(parse(query), (), variables)
    return [(error.extensions or {}).get("limit") for error in found]


def test_a_list_in_a_list_in_a_list_is_too_costly() -> None:
    assert refusals("{ %s }" % (NESTED % (100, 100))) == []
    assert refusals(DEEP % 40) == ["items"]


def test_sizes_in_variables_count_as_they_are_given() -> None:
    assert refusals(DEEP % 5) == []
    assert refusals(DEEP % 5, n=40) == ["items"]
    assert refusals(DEEP % 40, n=5) == []


def test_a_size_that_is_none_is_left_to_execution() -> None:
    assert refusals(DEEP % 5, n="many") == []


def test_a_document_is_counted_anew_with_each_size() -> None:
    documents = Documents(SCHEMA, Limits())
    document = parse(DEEP % 5)
    answers = [documents.refusals(document, (), {"n": n}) for n in (5, 40, 5, 40)]
    assert [len(one) for one in answers] == [0, 1, 0, 1]
