"""Whether a column is among numbers that come as one parameter, however many they are.

`IN` with a parameter for each of them is another statement for each count: built, sent and planned
anew each time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Dialect, String, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine


def is_among(column: ColumnElement[int], parameter: str) -> ColumnElement[bool]:
    """Return the condition that `column` is one of the numbers bound to `parameter`."""
    return _IsAmong(column, bindparam(parameter, type_=_Numbers()))


class _Numbers(TypeDecorator[Sequence[int]]):
    """An array on PostgreSQL, JSON on SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            ARRAY(BigInteger) if dialect.name == "postgresql" else String()
        )

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> Any:
        assert value is not None, "numbers are asked for"
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))


class _IsAmong(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> _IsAmong:
        # It is a condition already; as a value, compared with 1, it would use no index on SQLite.
        return self


@compiles(_IsAmong, "postgresql")
def _as_array(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    column, numbers = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} = ANY({numbers}))"


@compiles(_IsAmong, "sqlite")
def _as_json(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    column, numbers = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({numbers})))"  # noqa: S608 - only names
