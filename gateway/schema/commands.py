"""Sending commands: from a mutation's input to its payload."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from graphql import FieldNode, OperationDefinitionNode, value_from_ast_untyped

from contracts.money import InvalidMoneyError
from gateway.errors import BadUserInput
from gateway.freshness.directives import IDEMPOTENT, directive_on
from gateway.identity import key_of
from gateway.schema.info import Info
from gateway.schema.money import MoneyInput
from gateway.schema.node import served_by_repeat, served_by_source
from gateway.schema.results import InvalidInput, invalid_input, to_user_error

Payload = Callable[[dict[str, Any], str], Any]
"""Makes a success from the command's result and the token."""


_HEADER_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class WrongInputError(Exception):
    """An input that cannot be sent; it becomes the refusal InvalidInput."""

    def __init__(self, message: str, field: str) -> None:
        self.field = field
        super().__init__(message)

    def refusal(self) -> InvalidInput:
        return invalid_input(str(self), self.field)


async def send(
    info: Info,
    service: str,
    command: str,
    body: dict[str, Any],
    success: Payload,
) -> Any:
    """Send a command and return the mutation's payload.

    A repeat with the same idempotency key changes nothing and gets the first answer, of which it is
    not known how old it is.
    """
    request = info.context
    asked_s = request.freshness.now_s()
    answer = await request.services.command(
        service,
        command,
        body,
        cause=request.cause,
        idempotency_key=_idempotency_key(info),
        read_after=request.read_after.merge(request.written),
    )
    if answer.refusal is not None:
        return to_user_error(answer.refusal)
    request.wrote(answer.token)
    if answer.is_repeated:
        served_by_repeat(info, (service,))
    else:
        served_by_source(info, (service,), asked_s)
    return success(answer.result or {}, request.signer.encode(answer.token))


def to_body_money(money: MoneyInput, field: str) -> dict[str, Any]:
    """Return an amount as commands carry it.

    Raises:
        WrongInputError: it is no money.
    """
    try:
        amount = money.parse()
    except InvalidMoneyError as error:
        raise WrongInputError(str(error), field) from error
    return {"minor": amount.minor, "currency": amount.currency}


def to_body_key(global_id: str, type_name: str, field: str) -> str:
    """Return the key of a global id.

    Raises:
        WrongInputError: it is none of that type.
    """
    try:
        return key_of(global_id, type_name)
    except BadUserInput as error:
        raise WrongInputError(error.message, field) from error


def _idempotency_key(info: Info) -> str | None:
    """Return the key of this one mutation.

    A request's key is told apart by the mutation's place among the request's mutations, which stays
    the same when a field is given another alias.

    Raises:
        BadUserInput: nodes that are merged into one field have different keys.
    """
    raw = info._raw_info  # noqa: SLF001 - Strawberry shows neither nodes nor variables otherwise
    own = {_key_on(node, raw.variable_values) for node in raw.field_nodes} - {None}
    if len(own) > 1:
        message = "one mutation has several idempotency keys; give merged fields the same one"
        raise BadUserInput(message, nodes=raw.field_nodes)
    for key in own:
        return _sendable(str(key))
    key = _key_on(raw.operation, raw.variable_values) or info.context.idempotency_key
    return _sendable(f"{key}/{info.context.commands_begun}") if key is not None else None


def _sendable(key: str) -> str:
    """Return the key if it fits the header and the services' bound, else a digest of it."""
    return key if _HEADER_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


def _key_on(node: FieldNode | OperationDefinitionNode, variables: Any) -> str | None:
    directive = directive_on(node, IDEMPOTENT)
    if directive is None or not directive.arguments:
        return None
    coerced = getattr(variables, "coerced", variables)
    key = value_from_ast_untyped(directive.arguments[0].value, coerced)
    if not isinstance(key, str) or not 0 < len(key) <= 200:
        raise BadUserInput("an idempotency key has 1 to 200 characters")
    return key
