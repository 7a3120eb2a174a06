"""The information that resolvers get: its type, and what it says of the selection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import strawberry
from strawberry.types.nodes import SelectedField, Selection

from gateway.request import Request

Info: TypeAlias = strawberry.Info[Request, None]


def may_select(info: Info, name: str) -> bool:
    """Tell whether this field's object may be asked for a field; False is certain."""
    return any(_selects(field.selections, name) for field in info.selected_fields)


def _selects(selections: Iterable[Selection], name: str) -> bool:
    return any(
        selection.name == name
        if isinstance(selection, SelectedField)
        else _selects(selection.selections, name)
        for selection in selections
    )
