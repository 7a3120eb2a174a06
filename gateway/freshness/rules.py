"""What a document may not demand: checked by validation, and again with the variables filled in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphql import (
    ASTValidationRule,
    DirectiveNode,
    EnumValueNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    ValidationRule,
)

from gateway.errors import BadUserInput, OperationTooCostly
from gateway.freshness.conditions import Conditions, include_all
from gateway.freshness.demands import demand_of, has_variables
from gateway.freshness.directives import IDEMPOTENT, OnStale, directive_on
from gateway.freshness.place import Place
from gateway.freshness.plan import Plan, plan_of
from gateway.freshness.selection import Selections

_INVALID = {"code": "GRAPHQL_VALIDATION_FAILED"}
_NULL_INSTEAD = "write onStale: FAIL or SERVE, or put the directive on a nullable field"
_SOURCE_INSTEAD = "write onStale: WAIT or FAIL, or put the directive on other fields"


class FreshnessRule(ValidationRule):
    """Demands must be possible, whatever the variables of @skip and @include are."""

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        plan = self._plan(node)
        if plan is not None:
            for error in _refusals(plan):
                self.report_error(error)

    def _plan(self, operation: OperationDefinitionNode) -> Plan | None:
        context = self.context
        selections = Selections(context.schema, context.document, include_all)
        try:
            return plan_of(context.schema, operation, selections, Conditions({}).is_given)
        except OperationTooCostly as error:
            self.report_error(error)
        except RecursionError:
            pass  # fragments in a circle, which another rule reports
        return None


class IdempotentRule(ValidationRule):
    """An idempotency key belongs to a mutation: anywhere else it would change nothing."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        context = self.context
        directive = directive_on(node, IDEMPOTENT)
        if directive is None or context.get_parent_type() is context.schema.mutation_type:
            return
        message = (
            f"@idempotent has no meaning on {node.name.value}, which is no mutation; "
            "put it on a field of Mutation, or on the operation"
        )
        self.report_error(GraphQLError(message, directive, extensions=_INVALID))


FRESHNESS_RULES: tuple[type[ASTValidationRule], ...] = (FreshnessRule, IdempotentRule)


def impossible(plan: Plan, choices: Sequence[OnStale | None]) -> Iterator[str]:
    """Say which of a plan's demands cannot be met as chosen (`onStale` by directive)."""
    for index, choice in enumerate(choices):
        places = [place for place in plan.places if place.demand == index]
        if choice is OnStale.NULL:
            yield from _impossible_null(plan.non_null.get(index), places)
        elif choice is OnStale.SOURCE:
            yield from _impossible_source(places)


def _impossible_null(name: str | None, places: list[Place]) -> Iterator[str]:
    name = name or next((place.name for place in places if not place.nullable), None)
    if name is not None:
        yield f"onStale: NULL cannot make {name} null, which is never null; {_NULL_INSTEAD}"


def _impossible_source(places: list[Place]) -> Iterator[str]:
    name = next((place.name for place in places if not place.source_answers), None)
    if name is not None:
        yield f"onStale: SOURCE: no write service can answer {name}; {_SOURCE_INSTEAD}"


def _refusals(plan: Plan) -> Iterator[GraphQLError]:
    for name, directives in plan.contradictions:
        message = (
            f"the @freshness directives on {name} contradict each other; "
            "give merged fields the same one, or use an alias"
        )
        yield GraphQLError(message, directives, extensions=_INVALID)
    for directive in plan.directives:
        yield from _unfit_numbers(directive)
    for message in impossible(plan, [_written_choice(one) for one in plan.directives]):
        yield GraphQLError(message, list(plan.directives), extensions=_INVALID)


def _unfit_numbers(directive: DirectiveNode) -> Iterator[GraphQLError]:
    if has_variables(directive):
        return
    try:
        demand_of(directive)
    except BadUserInput as error:
        yield GraphQLError(error.message, error.nodes, extensions=_INVALID)
    except GraphQLError:
        return  # missing or mistyped, which other rules report


def _written_choice(directive: DirectiveNode) -> OnStale | None:
    for argument in directive.arguments or ():
        if argument.name.value == "onStale" and isinstance(argument.value, EnumValueNode):
            name = argument.value.value
            return OnStale(name) if name in OnStale.__members__ else None
    return None
