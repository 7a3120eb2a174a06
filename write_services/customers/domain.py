"""A customer's credit as pure decisions: which event answers a wish, and what it changes.

A decision never lets reserved credit exceed the limit; the table's CHECK constraint says it again.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from contracts.documents.customers import CustomerState
from contracts.events.customers import (
    CreditLimitChanged,
    CreditRefusalReason,
    CreditRefused,
    CreditReleased,
    CreditReserved,
    CustomerCreated,
)
from contracts.money import Money
from slackwater.service.commands import Refusal

NAME_LENGTH_MAX = 200
EMAIL_LENGTH_MAX = 254
CREDIT_LIMIT_MINOR_MAX = 10**15

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_CURRENCY = re.compile(r"[A-Z]{3}")

CUSTOMER_NOT_FOUND = Refusal(code="CUSTOMER_NOT_FOUND", message="There is no such customer.")

CreditEvent = CreditLimitChanged | CreditReserved | CreditReleased


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """One customer; `version` counts its events."""

    id: str
    name: str
    email: str
    credit_limit: Money
    credit_reserved: Money
    created_at: datetime
    version: int

    @property
    def currency(self) -> str:
        return self.credit_limit.currency

    @property
    def state(self) -> CustomerState:
        """What others are told."""
        return CustomerState(
            id=self.id,
            name=self.name,
            email=self.email,
            credit_limit=self.credit_limit,
            credit_reserved=self.credit_reserved,
            created_at=self.created_at,
        )


def create(name: str, email: str, credit_limit: Money) -> CustomerCreated | Refusal:
    if not name.strip() or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        return _invalid("name", f"A name has 1 to {NAME_LENGTH_MAX} printable characters.")
    if len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email) or not email.isprintable():
        return _invalid("email", "An email address looks like name@example.com.")
    refusal = _refuse_limit(credit_limit)
    return refusal or CustomerCreated(name=name, email=email, credit_limit=credit_limit)


def created(event: CustomerCreated, *, customer_id: str, at: datetime) -> Customer:
    """Return the customer as its first event makes it."""
    return Customer(
        id=customer_id,
        name=event.name,
        email=event.email,
        credit_limit=event.credit_limit,
        credit_reserved=Money(minor=0, currency=event.credit_limit.currency),
        created_at=at,
        version=1,
    )


def change_credit_limit(customer: Customer, limit: Money) -> CreditLimitChanged | Refusal:
    if limit.currency != customer.currency:
        return _invalid("credit_limit", f"The customer's currency is {customer.currency}.")
    if refusal := _refuse_limit(limit):
        return refusal
    if limit.minor < customer.credit_reserved.minor:
        return Refusal(
            code="CREDIT_LIMIT_BELOW_RESERVED",
            message="Orders have more credit reserved than that; wait for them or cancel some.",
            details={"credit_reserved": msgspec.to_builtins(customer.credit_reserved)},
        )
    return CreditLimitChanged(credit_limit=limit)


def reserve(
    customer: Customer | None, *, customer_id: str, order_id: str, amount: Money
) -> CreditReserved | CreditRefused:
    reason = _why_not(customer, amount)
    if customer is None or reason is not None:
        return CreditRefused(
            order_id=order_id,
            customer_id=customer_id,
            reason=reason or CreditRefusalReason.UNKNOWN_CUSTOMER,
        )
    reserved = _plus(customer.credit_reserved, amount.minor)
    return CreditReserved(order_id=order_id, amount=amount, credit_reserved=reserved)


def release(customer: Customer, *, order_id: str, amount: Money) -> CreditReleased:
    reserved = _plus(customer.credit_reserved, -amount.minor)
    return CreditReleased(order_id=order_id, amount=amount, credit_reserved=reserved)


def apply(customer: Customer, event: CreditEvent) -> Customer:
    """Return the customer as the event leaves it, one version on."""
    version = customer.version + 1
    if isinstance(event, CreditLimitChanged):
        return msgspec.structs.replace(customer, credit_limit=event.credit_limit, version=version)
    return msgspec.structs.replace(customer, credit_reserved=event.credit_reserved, version=version)


def _why_not(customer: Customer | None, amount: Money) -> CreditRefusalReason | None:
    if customer is None:
        return CreditRefusalReason.UNKNOWN_CUSTOMER
    if amount.currency != customer.currency:
        return CreditRefusalReason.CURRENCY_MISMATCH
    if customer.credit_reserved.minor + amount.minor > customer.credit_limit.minor:
        return CreditRefusalReason.CREDIT_LIMIT_EXCEEDED
    return None


def _refuse_limit(limit: Money) -> Refusal | None:
    if not _CURRENCY.fullmatch(limit.currency):
        return _invalid("credit_limit", "A currency is a code of three letters such as EUR.")
    if not 0 <= limit.minor <= CREDIT_LIMIT_MINOR_MAX:
        return _invalid("credit_limit", f"A limit is 0 to {CREDIT_LIMIT_MINOR_MAX} minor units.")
    return None


def _plus(money: Money, minor: int) -> Money:
    return msgspec.structs.replace(money, minor=money.minor + minor)


def _invalid(field: str, message: str) -> Refusal:
    return Refusal(code="INVALID_INPUT", message=message, details={"field": field})
