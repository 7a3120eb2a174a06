"""What the customers service publishes, on the topic `customers.events`."""

from __future__ import annotations

from enum import StrEnum

from contracts.events.registry import event_types
from contracts.money import Money
from contracts.topics import CUSTOMERS
from slackwater.events.event import EventBody

CUSTOMER = "customer"
CREDIT_REFUSAL = "credit_refusal"


class CreditRefusalReason(StrEnum):
    """Why an order got no credit."""

    CREDIT_LIMIT_EXCEEDED = "CREDIT_LIMIT_EXCEEDED"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"


@event_types.register("customers.customer-created", aggregate_type=CUSTOMER, topic=CUSTOMERS)
class CustomerCreated(EventBody, frozen=True, kw_only=True):
    """A customer exists, with a credit line in its one currency."""

    name: str
    email: str
    credit_limit: Money


@event_types.register("customers.credit-limit-changed", aggregate_type=CUSTOMER, topic=CUSTOMERS)
class CreditLimitChanged(EventBody, frozen=True, kw_only=True):
    """The credit line is longer or shorter from now on."""

    credit_limit: Money


@event_types.register("customers.credit-reserved", aggregate_type=CUSTOMER, topic=CUSTOMERS)
class CreditReserved(EventBody, frozen=True, kw_only=True):
    """Credit is set aside for an order; `credit_reserved` is the new total."""

    order_id: str
    amount: Money
    credit_reserved: Money


@event_types.register("customers.credit-released", aggregate_type=CUSTOMER, topic=CUSTOMERS)
class CreditReleased(EventBody, frozen=True, kw_only=True):
    """An order needs its credit no longer; `credit_reserved` is the new total."""

    order_id: str
    amount: Money
    credit_reserved: Money


@event_types.register("customers.credit-refused", aggregate_type=CREDIT_REFUSAL, topic=CUSTOMERS)
class CreditRefused(EventBody, frozen=True, kw_only=True):
    """An order gets no credit. Its aggregate is the refusal (id: the order's), at version 1."""

    order_id: str
    customer_id: str
    reason: CreditRefusalReason
