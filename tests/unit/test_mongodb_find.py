"""Which filters, orders and indexes MongoDB is given."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.orders import ORDERS_COLLECTION
from slackwater.read_models.documents import Collection, Condition, Find, Index, Operator, Sort
from slackwater.read_models.mongodb_find import count_filter, index_models, page_filter, page_sort
from slackwater.read_models.query import InvalidQueryError

NEWEST_FIRST = (Sort(path="placed_at", descending=True), Sort(path="id", descending=True))
BY_NAME = (Sort(path="name"), Sort(path="id"))
STATUS = Condition(path="status", operator=Operator.ANY_OF, value=["PENDING", "APPROVED"])
CUSTOMER = Condition(path="customer_id", operator=Operator.EQUAL, value="c")
SINCE = Condition(path="placed_at", operator=Operator.AT_LEAST, value="2026-01-01")
UNTIL = Condition(path="placed_at", operator=Operator.BELOW, value="2026-02-01")
EMAIL = Condition(path="email", operator=Operator.EQUAL, value="a@b.c")
NAME = Condition(path="name", operator=Operator.STARTS_WITH, value="A")
AFTER = ("2026-01-15", "o")


@pytest.mark.parametrize("after", [None, AFTER])
@pytest.mark.parametrize(
    ("collection", "where", "order"),
    [
        (ORDERS_COLLECTION, (), NEWEST_FIRST),
        (ORDERS_COLLECTION, (SINCE, UNTIL), NEWEST_FIRST),
        (ORDERS_COLLECTION, (STATUS,), NEWEST_FIRST),
        (ORDERS_COLLECTION, (STATUS, SINCE), NEWEST_FIRST),
        (ORDERS_COLLECTION, (CUSTOMER,), NEWEST_FIRST),
        (ORDERS_COLLECTION, (CUSTOMER, STATUS), NEWEST_FIRST),
        (CUSTOMERS_COLLECTION, (EMAIL,), (Sort(path="id"),)),
        (CUSTOMERS_COLLECTION, (NAME,), BY_NAME),
    ],
)
def test_an_index_begins_with_what_is_equal_and_goes_on_in_the_order_of_the_page(
    collection: Collection, where: tuple[Condition, ...], order: tuple[Sort, ...], after: Any
) -> None:
    after = None if after is None else after[: len(order)]
    query = Find(collection=collection.name, where=where, order=order, after=after)
    wanted, ordered = page_filter(query), page_sort(query)
    equal = {field for field, test in wanted.items() if test is True or is_equality(test)}
    assert [
        keys
        for keys in map(key_fields, index_models(collection))
        if set(keys[: len(equal)]) == equal and keys[len(equal) :] == [name for name, _ in ordered]
    ]
    assert set(wanted) - equal <= {ordered[0][0], "$or", "$and"}


def is_equality(test: object) -> bool:
    return isinstance(test, dict) and test.keys() <= {"$eq", "$in"}


def key_fields(model: Any) -> list[str]:
    return list(model.document["key"])


def test_an_index_holds_only_visible_rows_and_its_name_says_what_it_is() -> None:
    unique, plain = index_models(
        Collection(name="x", indexes=(Index(paths=("a.b",), unique=True), Index(paths=("c", "id"))))
    )
    visible = {"partialFilterExpression": {"visible": True}}
    assert unique.document == {
        "key": {"visible": 1, "document.a.b": 1},
        "name": "unique by a.b",
        "unique": True,
        **visible,
    }
    assert plain.document == {
        "key": {"visible": 1, "document.c": 1, "_id": 1},
        "name": "rows by c, id",
        "unique": False,
        **visible,
    }


def test_a_page_behind_a_row_bounds_the_scan_by_its_first_key() -> None:
    query = Find(collection="orders", order=NEWEST_FIRST, after=AFTER)
    assert page_filter(query) == {
        "visible": True,
        "document.placed_at": {"$lte": "2026-01-15"},
        "$or": [
            {"document.placed_at": {"$lt": "2026-01-15"}},
            {"document.placed_at": {"$eq": "2026-01-15"}, "_id": {"$lt": "o"}},
        ],
    }


def test_conditions_on_one_path_stand_side_by_side() -> None:
    assert count_filter((SINCE, UNTIL)) == {
        "visible": True,
        "document.placed_at": {"$gte": "2026-01-01"},
        "$and": [{"document.placed_at": {"$lt": "2026-02-01"}}],
    }


def test_a_value_is_never_an_operator() -> None:
    hostile = Condition(path="a", operator=Operator.EQUAL, value={"$ne": 1})
    assert count_filter((hostile,)) == {"visible": True, "document.a": {"$eq": {"$ne": 1}}}
    behind = Find(collection="orders", order=NEWEST_FIRST, after=({"$ne": 1}, "o"))
    [_, at_it] = page_filter(behind)["$or"]
    assert at_it["document.placed_at"] == {"$eq": {"$ne": 1}}


@pytest.mark.parametrize(
    "query",
    [
        Find(collection="orders", order=()),
        Find(collection="orders", order=(Sort(path="a"), Sort(path="id", descending=True))),
        Find(collection="orders", after=("a", "b")),
        Find(collection="orders", after=(None,)),
    ],
)
def test_a_find_that_cannot_be_paged_is_refused(query: Find) -> None:
    with pytest.raises(InvalidQueryError):
        page(query)


def page(query: Find) -> tuple[Any, Any]:
    return page_filter(query), page_sort(query)
