"""A plan names every place of an operation where origin or demand differ, by response path."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse

from gateway.freshness.plan import Plan
from gateway.freshness.plans import Plans
from tests.unit.gateway.freshness_bench import SCHEMA


def plan_of(query: str, plans: Plans | None = None, **variables: Any) -> Plan:
    plan = (plans or Plans(SCHEMA._schema)).plan(parse(query), None, variables)
    assert plan is not None
    return plan


def entries(query: str, **variables: Any) -> dict[str, str]:
    """Return what each path is said to come from."""
    return {
        ".".join(place.path): f"{place.read_model}/{'+'.join(place.sources)}"
        for place in plan_of(query, **variables).entries
    }


CUSTOMER = "customer_orders/customers"
ORDERS = "customer_orders/orders"


def test_leaves_with_the_sources_of_their_object_need_no_entry() -> None:
    assert entries("{ customer { id name nick } }") == {"customer": CUSTOMER}


def test_a_leaf_with_other_sources_has_an_entry_of_its_own() -> None:
    assert entries("{ customer { name orderCount } }") == {
        "customer": CUSTOMER,
        "customer.orderCount": ORDERS,
    }


def test_leaves_take_the_read_model_from_the_field_that_reads() -> None:
    query = "{ customer { orders { edges { node { id status } cursor } } } }"
    assert entries(query) == {"customer": CUSTOMER, "customer.orders": ORDERS}


def test_fields_that_are_not_projected_have_no_entry() -> None:
    assert entries("{ version __typename }") == {}


def test_introspection_is_no_reading() -> None:
    assert entries('{ __schema { types { name } } __type(name: "Order") { name } }') == {}


def test_a_path_has_the_aliases_of_the_response() -> None:
    query = '{ ada: customer { count: orderCount } bob: customer(id: "c2") { name } }'
    assert entries(query) == {"ada": CUSTOMER, "ada.count": ORDERS, "bob": CUSTOMER}


def test_fields_of_fragments_stand_where_they_are_spread() -> None:
    query = """
      { customer { ...Counts ... on Customer { page: orders { edges { cursor } } } } }
      fragment Counts on Customer { ...More }
      fragment More on Customer { orderCount }
    """
    assert entries(query) == {
        "customer": CUSTOMER,
        "customer.orderCount": ORDERS,
        "customer.page": ORDERS,
    }


def test_merged_fields_are_one_place_with_all_that_is_below_each() -> None:
    query = "{ customer { name } customer { orderCount } ... { customer { orderCount nick } } }"
    assert entries(query) == {"customer": CUSTOMER, "customer.orderCount": ORDERS}


def test_a_path_through_a_list_has_no_index() -> None:
    assert entries("{ customers { orders { edges { node { customer { name } } } } } }") == {
        "customers": CUSTOMER,
        "customers.orders": ORDERS,
        "customers.orders.edges.node.customer": CUSTOMER,
    }


def members(query: str) -> set[tuple[str, str]]:
    return {
        (place.type_name, place.read_model)
        for place in plan_of(query).entries
        if place.path == ("search", "edges", "node")
    }


def test_a_union_that_is_read_by_type_has_a_place_for_each_member_selected() -> None:
    query = "{ search { edges { node { ... on Order { id } ... on Product { id } } } } }"
    assert members(query) == {("Order", "orders"), ("Product", "products")}


def test_the_name_of_the_type_alone_depends_on_every_member() -> None:
    assert members("{ search { edges { node { __typename } } } }") == {
        ("Order", "orders"),
        ("Product", "products"),
        ("Customer", "customer_orders"),
    }


@pytest.mark.parametrize(
    ("words", "given", "read"),
    [
        ("@include(if: $x)", True, True),
        ("@include(if: $x)", False, False),
        ("@skip(if: $x)", True, False),
        ("@skip(if: $x)", False, True),
        ("@skip(if: true)", True, False),
        ("@include(if: $x) @skip(if: true)", True, False),
        ("@include(if: true) @skip(if: $x)", False, True),
    ],
)
def test_what_is_skipped_is_not_read(words: str, given: bool, read: bool) -> None:
    query = f"query ($x: Boolean!) {{ version customer {words} {{ name }} }}"
    assert bool(entries(query, x=given)) is read


def test_a_condition_on_a_fragment_covers_its_fields() -> None:
    query = """
      query ($x: Boolean = false) { customer { name ...Counts @include(if: $x) } }
      fragment Counts on Customer { orderCount }
    """
    assert entries(query) == {"customer": CUSTOMER}
    assert entries(query, x=True) == {"customer": CUSTOMER, "customer.orderCount": ORDERS}


def test_a_mutations_payload_hands_down_what_is_declared_below_it() -> None:
    query = """mutation { rename(name: "x") {
      ... on Renamed { customer { orders { edges { cursor } } } }
    } }"""
    assert entries(query) == {"rename.customer.orders": ORDERS}


def test_the_innermost_demand_governs_a_place() -> None:
    query = """
      query @freshness(maxStalenessMs: 1) {
        customer { orderCount ...F @freshness(maxStalenessMs: 2) }
        other: customer @freshness(maxStalenessMs: 4) { name }
      }
      fragment F on Customer { orders @freshness(maxStalenessMs: 3) { edges { cursor } } lastOrder }
    """
    plan = plan_of(query)
    demanded = {
        ".".join(place.path): plan.directives[place.demand].arguments[0].value.value  # type: ignore
        for place in plan.places
        if place.demand is not None
    }
    assert demanded == {
        "customer": "1",
        "customer.orderCount": "1",
        "customer.lastOrder": "2",
        "customer.orders": "3",
        "other": "4",
    }


def test_a_plan_is_made_once_for_a_document_and_its_conditions() -> None:
    plans = Plans(SCHEMA._schema)
    document = parse("query ($x: Boolean!, $id: ID!) { customer(id: $id) @skip(if: $x) { name } }")
    first = plans.plan(document, None, {"x": False, "id": "c1"})
    assert plans.plan(document, None, {"x": False, "id": "c2"}) is first
    assert plans.plan(document, None, {"x": True, "id": "c1"}) is not first


def test_each_operation_of_a_document_has_a_plan_of_its_own() -> None:
    plans = Plans(SCHEMA._schema)
    document = parse("query A { customer { name } } query B { version }")
    a, b = (plans.plan(document, name, {}) for name in ("A", "B"))
    assert a is not None
    assert b is not None
    assert (len(a.places), len(b.places)) == (1, 0)
    assert plans.plan(document, "C", {}) is None


def test_only_the_documents_used_last_are_kept() -> None:
    plans = Plans(SCHEMA._schema)
    for _ in range(600):
        plans.plan(parse("{ version }"), None, {})
    assert len(plans._known) == 512
