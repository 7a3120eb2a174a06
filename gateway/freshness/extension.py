"""The schema's extension: waits before an operation, and tells freshness with its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from graphql import DirectiveNode
from graphql import OperationType as GraphQLOperationType
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from gateway.errors import BadUserInput, InvalidConsistencyToken
from gateway.freshness.asked import asked_of
from gateway.freshness.demands import Demand, demand_of, has_variables
from gateway.freshness.directives import READ_AFTER
from gateway.freshness.executor import freshness_of
from gateway.freshness.look_ups import keys_of
from gateway.freshness.metering import meter_bounds
from gateway.freshness.operation import OperationFreshness
from gateway.freshness.plan import Plan
from gateway.freshness.plans import Plans
from gateway.freshness.rules import FRESHNESS_RULES, impossible
from gateway.freshness.wire import freshness_extension
from slackwater.errors import InvalidTokenError
from slackwater.freshness.token import ConsistencyToken, TokenSigner

_TOKENS_MAX = 16
_PLANS = "slackwater-freshness-plans"


class FreshnessExtension(SchemaExtension):
    """Waits before an operation is executed, and fills `extensions.freshness` afterwards.

    It needs a context with the fields of `Request`, whose `freshness` is an `OperationFreshness`;
    with any other it does nothing.
    """

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        context.validation_rules = (*context.validation_rules, *FRESHNESS_RULES)
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        freshness = freshness_of(self.execution_context.context)
        if freshness is not None:
            await self._begin(freshness)
        yield

    def get_results(self) -> dict[str, Any]:
        freshness = freshness_of(self.execution_context.context)
        if freshness is None or not freshness.has_begun:
            return {}
        told = None
        if freshness.has_answered:
            meter_bounds(freshness)
            told = freshness_extension(freshness)
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            freshness.end_event()
        return {} if told is None else {"freshness": told}

    async def _begin(self, freshness: OperationFreshness) -> None:
        context = self.execution_context
        freshness.asked = asked_of(context.operation_extensions, freshness.header)
        plan = self._plan()
        variables = self._variables(plan) if plan is not None else None
        if plan is None or variables is None:
            return  # execution itself says what is wrong
        request = context.context
        if plan.read_after is not None:
            written = _token(plan.read_after, variables, freshness.signer)
            request.read_after = request.read_after.merge(written)
        await freshness.begin(plan, _demands(plan, variables), request.read_after, self._keys(plan))

    def _keys(self, plan: Plan) -> Sequence[str | None]:
        """Return the keys of what a query looks up; it reads all of it after its readings."""
        if plan.operation.operation is not GraphQLOperationType.QUERY:
            return ()
        return keys_of(plan.look_ups, plan.operation, self.execution_context.variables or {})

    def _plan(self) -> Plan | None:
        context = self.execution_context
        schema = context.schema._schema  # noqa: SLF001 - Strawberry's own views do so
        plans: Plans | None = schema.extensions.get(_PLANS)
        if plans is None:
            plans = schema.extensions[_PLANS] = Plans(schema)
        if context.graphql_document is None:
            return None
        return plans.plan(context.graphql_document, context.operation_name, context.variables or {})

    def _variables(self, plan: Plan) -> VariableValues | None:
        """Return the coerced variables, if a directive needs them; None if they are invalid."""
        directives = [*plan.directives, *([plan.read_after] if plan.read_after else [])]
        if not any(has_variables(directive) for directive in directives):
            return _NO_VARIABLES
        context = self.execution_context
        values = get_variable_values(
            context.schema._schema,  # noqa: SLF001 - Strawberry's own views do so
            plan.operation.variable_definitions or (),
            context.variables or {},
        )
        return values if isinstance(values, VariableValues) else None


_NO_VARIABLES = VariableValues({}, {})


def _demands(plan: Plan, variables: VariableValues) -> Sequence[Demand]:
    demands = [demand_of(directive, variables) for directive in plan.directives]
    for message in impossible(plan, [demand.on_stale for demand in demands]):
        raise BadUserInput(message)
    return demands


def _token(
    directive: DirectiveNode, variables: VariableValues, signer: TokenSigner
) -> ConsistencyToken:
    words: Mapping[str, Any] = get_argument_values(READ_AFTER, directive, variables)
    texts = words.get("tokens") or []
    if len(texts) > _TOKENS_MAX:
        raise InvalidConsistencyToken(f"there are over {_TOKENS_MAX} tokens; send the newest ones")
    try:
        return ConsistencyToken.merged(signer.decode(text) for text in texts)
    except InvalidTokenError as error:
        raise InvalidConsistencyToken(str(error), original_error=error) from error
