"""The indexes of collections in MongoDB, and the finds that these indexes serve.

`visible` leads every index and every query: so each query is served by an index's prefix, a count
reads an index alone, and an index entry moves only when its paths change, not with each version.
Text compares by its bytes in UTF-8, which is the order of code points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from slackwater.read_models.documents import Collection, Condition, Find, Index, Operator
from slackwater.read_models.query import (
    checked_after,
    checked_name,
    checked_path,
    is_descending,
    prefix_range,
)

Filter = dict[str, Any]
Keys = list[tuple[str, int]]

_VISIBLE: Filter = {"visible": True}


def collection_name(collection: str) -> str:
    """Return where the rows of a collection are kept.

    Raises:
        InvalidQueryError: the name is not lower case with underscores.
    """
    return f"rows_{checked_name(collection)}"


def index_models(collection: Collection) -> list[IndexModel]:
    """Return the indexes of a collection; what one is called says all that it is."""
    return [_index_model(index) for index in collection.indexes]


def index_keys(index: Index) -> Keys:
    """Return what an index is sorted by."""
    return [("visible", ASCENDING), *((_field(path), ASCENDING) for path in index.paths)]


def page_filter(query: Find) -> Filter:
    """Return the filter of a page."""
    return _all_of([*_terms(query.where), *_behind(query)])


def page_sort(query: Find) -> Keys:
    """Return the order of a page."""
    direction = DESCENDING if is_descending(query.order) else ASCENDING
    return [(_field(sort.path), direction) for sort in query.order]


def count_filter(where: Sequence[Condition]) -> Filter:
    """Return the filter that visible rows pass."""
    return _all_of(_terms(where))


def _index_model(index: Index) -> IndexModel:
    kind = "unique" if index.unique else "rows"
    return IndexModel(
        index_keys(index),
        name=f"{kind} by {', '.join(index.paths)}",
        unique=index.unique,
        partialFilterExpression=_VISIBLE,
    )


def _field(path: str) -> str:
    return "_id" if path == "id" else f"document.{checked_path(path)}"


def _all_of(terms: Sequence[Filter]) -> Filter:
    """Write all terms as one: side by side, or beneath `$and` where a field is named twice."""
    merged: Filter = {}
    again = []
    for term in terms:
        if merged.keys().isdisjoint(term):
            merged |= term
        else:
            again.append(term)
    return merged | {"$and": again} if again else merged


def _terms(where: Sequence[Condition]) -> list[Filter]:
    return [_VISIBLE, *({_field(c.path): _operators(c)} for c in where)]


def _operators(condition: Condition) -> Filter:
    match condition.operator:
        case Operator.EQUAL:
            return {"$eq": condition.value}
        case Operator.ANY_OF:
            return {"$in": list(condition.value)}
        case Operator.AT_LEAST:
            return {"$gte": condition.value}
        case Operator.BELOW:
            return {"$lt": condition.value}
        case Operator.STARTS_WITH:
            first, behind = prefix_range(condition.value)
            return {"$gte": first} if behind is None else {"$gte": first, "$lt": behind}


def _behind(query: Find) -> list[Filter]:
    """Write `(a, b) > (x, y)`: behind x, or at x and behind y; the first key bounds the scan."""
    if query.after is None:
        return []
    after = checked_after(query, query.after)
    sign = "$lt" if is_descending(query.order) else "$gt"
    fields = [_field(sort.path) for sort in query.order]
    at = [{"$eq": value} for value in after]
    alternatives = [
        {**dict(zip(fields[:n], at[:n], strict=True)), fields[n]: {sign: after[n]}}
        for n in range(len(fields))
    ]
    if len(alternatives) == 1:
        return alternatives
    return [{fields[0]: {f"{sign}e": after[0]}}, {"$or": alternatives}]
