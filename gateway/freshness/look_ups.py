"""Look-ups by key: which documents an operation reads by a key that is known before it is executed.

All events of such a document are in one partition of each topic that is keyed by it, so what is
proven of it need not wait for the other partitions. And what is parked of another key is no hole of
it, nor of a list that is filtered by a partition key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    ObjectValueNode,
    OperationDefinitionNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)

from gateway.projected import LookUp


class LookedUp(msgspec.Struct, frozen=True, kw_only=True):
    """A look-up of one operation: the read model, the argument's value, and the type wanted."""

    read_model: str
    value: ValueNode
    type_name: str
    look_up: LookUp

    def key(self, variables: Mapping[str, Any]) -> str | None:
        """Return the document's key; None where the value names no document of that type."""
        value: Any = self.value.value if isinstance(self.value, StringValueNode) else None
        if isinstance(self.value, VariableNode):
            value = variables.get(self.value.name.value)
        if isinstance(value, Mapping):
            value = value.get(self.look_up.within)
        return self.look_up.key_of(value, self.type_name) if isinstance(value, str) else None


def value_given(look_up: LookUp, arguments: tuple[ArgumentNode, ...] | None) -> ValueNode | None:
    """Return the value of the argument that names the document, if it is there."""
    named = (one.value for one in arguments or () if one.name.value == look_up.argument)
    value = next(named, None)
    if look_up.within is not None and isinstance(value, ObjectValueNode):
        return next((one.value for one in value.fields if one.name.value == look_up.within), None)
    return value


def keys_of(
    look_ups: tuple[LookedUp, ...],
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> tuple[str | None, ...]:
    """Return the key of each look-up; None where it is not known."""
    if not look_ups:
        return ()
    given = {**_defaults(operation), **variables}
    return tuple(one.key(given) for one in look_ups)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        definition.variable.name.value: definition.default_value.value
        for definition in operation.variable_definitions or ()
        if isinstance(definition.default_value, StringValueNode)
    }
