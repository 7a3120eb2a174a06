"""The SQL of collections: their tables and indexes, and the finds that these indexes serve.

A query is served by an expression index only if it repeats the indexed expression to the letter,
so both are written by the same functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from slackwater.read_models.documents import Collection, Condition, Find, Index, Operator
from slackwater.read_models.query import (
    InvalidQueryError,
    checked_after,
    checked_name,
    checked_path,
    is_descending,
    prefix_range,
)

_VISIBLE = "version >= 1"
_BRANCHES_MAX = 16


class Statement(NamedTuple):
    """SQL and its parameters."""

    sql: str
    parameters: tuple[Any, ...]


def table(collection: str) -> str:
    """Return the table of a collection.

    Raises:
        InvalidQueryError: the name is not lower case with underscores.
    """
    return f"rows_{checked_name(collection)}"


def create_statements(collection: Collection) -> list[str]:
    """Return the statements that create what is missing of a collection."""
    create_table = f"""
        CREATE TABLE IF NOT EXISTS {table(collection.name)} (
            id TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            document TEXT NOT NULL
        )
    """
    return [create_table, *(_create_index(collection.name, index) for index in collection.indexes)]


def page_statement(query: Find) -> Statement:
    """Return the statement of a page; its rows begin with id, version, revision and document."""
    descending = is_descending(query.order)
    branches = [_branch(query, where, descending) for where in _alternatives(query.where)]
    keys = ", ".join(f"key_{n}{' DESC' if descending else ''}" for n in range(len(query.order)))
    union = " UNION ALL ".join(branch.sql for branch in branches)
    parameters = itertools.chain.from_iterable(branch.parameters for branch in branches)
    return Statement(f"{union} ORDER BY {keys} LIMIT ?", (*parameters, query.limit))


def count_statement(collection: str, where: Sequence[Condition]) -> Statement:
    """Return the statement that counts visible rows."""
    visible = _where(where)
    return Statement(
        f"SELECT count(*) FROM {table(collection)} WHERE {visible.sql}",  # noqa: S608
        visible.parameters,
    )


def _create_index(collection: str, index: Index) -> str:
    keys = ", ".join(_expression(path) for path in index.paths)
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    # The version makes the index cover counts; in a unique one it would undo the uniqueness.
    covering = "" if index.unique else ", version"
    name = f'"{kind.lower()} of {collection} by {", ".join(index.paths)}"'
    return (
        f"CREATE {kind} IF NOT EXISTS {name} "
        f"ON {table(collection)} ({keys}{covering}) WHERE {_VISIBLE}"
    )


def _expression(path: str) -> str:
    return "id" if path == "id" else f"json_extract(document, '$.{checked_path(path)}')"


def _alternatives(where: Sequence[Condition]) -> Iterator[tuple[Condition, ...]]:
    """Turn a few ANY_OFs into separate searches, each of which an index delivers in order.

    With `IN` instead, SQLite would have to read and sort all matching rows for a page.
    """
    choices = [_choices(condition) for condition in where]
    lengths = itertools.accumulate((len(choice) for choice in choices), lambda a, b: a * b)
    if max(lengths, default=1) > _BRANCHES_MAX:
        return iter([tuple(where)])
    return itertools.product(*choices)


def _choices(condition: Condition) -> list[Condition]:
    if condition.operator is not Operator.ANY_OF or not condition.value:
        return [condition]
    return [
        Condition(path=condition.path, operator=Operator.EQUAL, value=value)
        for value in dict.fromkeys(condition.value)
    ]


def _branch(query: Find, where: Sequence[Condition], descending: bool) -> Statement:
    keys = "".join(f", {_expression(sort.path)} AS key_{n}" for n, sort in enumerate(query.order))
    rows = _where(where)
    behind = _behind(query, descending)
    return Statement(
        f"SELECT id, version, revision, document{keys} "  # noqa: S608
        f"FROM {table(query.collection)} WHERE {rows.sql}{behind.sql}",
        rows.parameters + behind.parameters,
    )


def _behind(query: Find, descending: bool) -> Statement:
    if query.after is None:
        return Statement("", ())
    after = checked_after(query, query.after)
    keys = ", ".join(_expression(sort.path) for sort in query.order)
    places = ", ".join("?" * len(after))
    sign = "<" if descending else ">"
    # SQLite does not enter an expression index by a row value, but does by its first key alone.
    first = f"{_expression(query.order[0].path)} {sign}= ?"
    return Statement(f" AND {first} AND ({keys}) {sign} ({places})", (after[0], *after))


def _where(where: Sequence[Condition]) -> Statement:
    terms = [_term(condition) for condition in where]
    return Statement(
        " AND ".join([_VISIBLE, *(term.sql for term in terms)]),
        tuple(itertools.chain.from_iterable(term.parameters for term in terms)),
    )


def _term(condition: Condition) -> Statement:
    expression, value = _expression(condition.path), condition.value
    match condition.operator:
        case Operator.EQUAL:
            return Statement(f"{expression} IS ?", (value,))
        case Operator.ANY_OF:
            return _any_of(expression, value)
        case Operator.AT_LEAST:
            return Statement(f"{expression} >= ?", (value,))
        case Operator.BELOW:
            return Statement(f"{expression} < ?", (value,))
        case Operator.STARTS_WITH:
            return _starts_with(expression, value)


def _any_of(expression: str, values: Sequence[Any]) -> Statement:
    if None in values:
        raise InvalidQueryError("ANY_OF with so many values cannot hold null; ask for it apart")
    return Statement(f"{expression} IN ({', '.join('?' * len(values))})", tuple(values))


def _starts_with(expression: str, prefix: str) -> Statement:
    """Write a prefix as a range, which an index serves; text is ordered by code points."""
    first, behind = prefix_range(prefix)
    if behind is None:
        return Statement(f"{expression} >= ?", (first,))
    return Statement(f"{expression} >= ? AND {expression} < ?", (first, behind))
