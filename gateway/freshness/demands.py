"""Demands: how stale a client accepts a field and all below it to be, and what else to do."""

from __future__ import annotations

from typing import Any

import msgspec
from graphql import (
    DirectiveNode,
    ListValueNode,
    NullValueNode,
    ValueNode,
    VariableNode,
    print_ast,
)
from graphql.execution.values import VariableValues, get_argument_values

from gateway.errors import BadUserInput
from gateway.freshness.directives import FRESHNESS, OnStale
from slackwater.freshness.bound import Reading

TIMEOUT_MS = 1_000
TIMEOUT_MS_MAX = 30_000


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What one `@freshness` asks for.

    A demand is judged when readings are pinned, before data is read. What the answer then says also
    counts the time that answering took. `allow_holes` accepts that something of a list is parked;
    a document that is parked itself it does not accept.
    """

    max_staleness_ms: int
    on_stale: OnStale = OnStale.SERVE
    timeout_ms: int = TIMEOUT_MS
    allow_holes: bool = False

    def is_met(self, reading: Reading, sources: tuple[str, ...], now_s: float) -> bool:
        """Tell whether a reading is fresh enough; without a proven bound it is not."""
        bound_ms = self.bound_ms(reading, sources, now_s)
        return bound_ms is not None and bound_ms <= self.max_staleness_ms

    def bound_ms(self, reading: Reading, sources: tuple[str, ...], now_s: float) -> int | None:
        """Return the bound that counts for this demand; None where none is proven."""
        accepts = self.allow_holes and not reading.of_document
        return reading.staleness_ms(sources, now_s, except_holes=accepts)


def demand_of(directive: DirectiveNode, variables: VariableValues | None = None) -> Demand:
    """Return what a directive says with the operation's variables filled in.

    Raises:
        GraphQLError: an argument has no or the wrong value.
        BadUserInput: a number is negative or too large.
    """
    words = get_argument_values(FRESHNESS, directive, variables)
    given = {name: value for name, value in words.items() if value is not None}
    demand = Demand(
        max_staleness_ms=given["maxStalenessMs"],
        on_stale=OnStale(given.get("onStale", OnStale.SERVE)),
        timeout_ms=given.get("timeoutMs", TIMEOUT_MS),
        allow_holes=given.get("allowHoles", False),
    )
    _check_limits(demand, directive)
    return demand


def has_variables(directive: DirectiveNode) -> bool:
    """Tell whether what a directive says depends on the operation's variables."""
    return any(_has_variables(argument.value) for argument in directive.arguments or ())


def _has_variables(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(_has_variables(item) for item in value.values)
    return isinstance(value, VariableNode)


def contradict(left: DirectiveNode, right: DirectiveNode) -> bool:
    """Tell whether two directives say different things; a default counts as said."""
    return _words(left) != _words(right)


def _check_limits(demand: Demand, directive: DirectiveNode) -> None:
    if demand.max_staleness_ms < 0:
        message = f"maxStalenessMs is {demand.max_staleness_ms}; give at least 0 milliseconds"
        raise BadUserInput(message, nodes=directive)
    if not 0 <= demand.timeout_ms <= TIMEOUT_MS_MAX:
        message = f"timeoutMs is {demand.timeout_ms}; give 0 to {TIMEOUT_MS_MAX} milliseconds"
        raise BadUserInput(message, nodes=directive)


_DEFAULTS: dict[str, Any] = {"onStale": "SERVE", "timeoutMs": "1000", "allowHoles": "false"}


def _words(directive: DirectiveNode) -> dict[str, str]:
    said = {
        argument.name.value: print_ast(argument.value)
        for argument in directive.arguments or ()
        if not _is_null(argument.value)
    }
    return {**_DEFAULTS, **said}


def _is_null(value: ValueNode) -> bool:
    return isinstance(value, NullValueNode)
