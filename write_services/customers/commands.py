"""The commands of the customers service."""

from __future__ import annotations

import msgspec

from contracts.documents.customers import CustomerState
from contracts.money import Money
from slackwater.ids import new_id
from slackwater.outbox.unit_of_work import UnitOfWork
from slackwater.service.commands import CommandType, Refusal
from write_services.customers import accounts, domain


class CreateCustomer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open a customer's account, in the currency of its limit."""

    name: str
    email: str
    credit_limit: Money


class ChangeCreditLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a customer's credit line longer or shorter."""

    customer_id: str
    credit_limit: Money


class CustomerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The customer as the command left it."""

    customer: CustomerState


def create_customer(unit: UnitOfWork, command: CreateCustomer) -> CustomerAnswer | Refusal:
    decision = domain.create(command.name, command.email, command.credit_limit)
    if isinstance(decision, Refusal):
        return decision
    return CustomerAnswer(customer=accounts.open_account(unit, new_id(), decision).state)


def change_credit_limit(unit: UnitOfWork, command: ChangeCreditLimit) -> CustomerAnswer | Refusal:
    customer = accounts.find(unit.connection, command.customer_id, for_change=True)
    if customer is None:
        return domain.CUSTOMER_NOT_FOUND
    decision = domain.change_credit_limit(customer, command.credit_limit)
    if isinstance(decision, Refusal):
        return decision
    return CustomerAnswer(customer=accounts.change_account(unit, customer, decision).state)


COMMANDS = (
    CommandType(name="create-customer", body=CreateCustomer, handle=create_customer),
    CommandType(name="change-credit-limit", body=ChangeCreditLimit, handle=change_credit_limit),
)
