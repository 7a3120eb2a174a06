"""Declared fields: a path into a read model's document with the sources that feed it.

A declared field is no resolver: it is data about where a value stands, which execution, freshness
and (later) compiled plans all read. Objects that carry declared fields hold their document in
`document`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import strawberry
from strawberry.schema_directive import Location
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="projectedFrom",
    description="The read model that a field comes from, and the sources that feed it.",
)
class ProjectedFrom:
    """Stands in the SDL on every projected field."""

    read_model: str
    sources: list[str]


class LookUp(msgspec.Struct, frozen=True, kw_only=True):
    """The argument that names the document which a field looks up.

    `key_of` returns the document's key for an argument's value and the type that is wanted; None
    where the value names nothing of that type. With `within` the argument is an input object, and
    one of its fields is the value: the partition key of all that a list holds.
    """

    argument: str
    within: str | None = None
    key_of: Callable[[str, str], str | None]


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """Where a field's value comes from.

    `reads` is True where resolving the field reads a read model anew (a root field, an edge to
    another aggregate); below it, leaf fields come from the document that it has read, so they
    inherit its read model. `reads_by_type` maps a member of a union or interface to its read model.
    `looks_up` tells that it reads one document by its key; `same_document`, that what it reads is
    part of the document that the object above it was read from.
    `or_from` names what else may be read in place of it. `source_if` names arguments: with one of
    them the owning service answers, never a read model.
    """

    read_model: str
    sources: tuple[str, ...]
    path: str | None = None
    reads: bool = False
    looks_up: LookUp | None = None
    same_document: bool = False
    reads_by_type: dict[str, tuple[str, tuple[str, ...]]] = {}
    or_from: tuple[tuple[str, tuple[str, ...]], ...] = ()
    source_if: tuple[str, ...] = ()
    source_answers: bool = True
    """Whether the write services can answer this field instead (`onStale: SOURCE`)."""

    def origin_of(self, member: str) -> tuple[str, tuple[str, ...]]:
        """Return the read model and the sources of a member."""
        return self.reads_by_type.get(member, (self.read_model, self.sources))


class ProjectedField(StrawberryField):
    """A declared leaf: its value is `convert(document[path])`."""

    projection: Projection
    convert: Callable[[Any], Any] | None = None

    def get_result(
        self,
        source: Any,
        info: Info[Any, Any] | None,
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> Awaitable[Any] | Any:
        path = self.projection.path
        value = source.document if path is None else source.document[path]
        return value if self.convert is None or value is None else self.convert(value)


def projected(
    path: str | None,
    *,
    read_model: str,
    sources: Sequence[str],
    convert: Callable[[Any], Any] | None = None,
    description: str | None = None,
) -> Any:
    """Declare a field as the value at `path` of the enclosing object's document (None: all)."""
    field = ProjectedField(
        python_name=None,
        description=description,
        directives=[ProjectedFrom(read_model=read_model, sources=list(sources))],
    )
    field.projection = Projection(read_model=read_model, sources=tuple(sources), path=path)
    field.convert = convert
    field.init = field.repr = False  # its value is in the document, no argument of the object
    field.compare = False
    return field


def reads(projection: Projection) -> dict[str, Any]:
    """Return the keyword arguments for `strawberry.field` of a resolver that reads a read model."""
    directive = ProjectedFrom(read_model=projection.read_model, sources=list(projection.sources))
    return {"directives": [directive], "metadata": {"projection": projection}}


def projection_of(field: StrawberryField) -> Projection | None:
    """Return where a field's value comes from; None for fields that are not projected."""
    if isinstance(field, ProjectedField):
        return field.projection
    projection: Projection | None = field.metadata.get("projection")
    return projection
