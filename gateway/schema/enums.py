"""The enums of the published language as GraphQL enums; import them from here.

Registered before any type names one: Strawberry would otherwise make a definition of its own.
"""

from __future__ import annotations

import strawberry

from contracts.documents.order_search import SearchKind
from contracts.documents.orders import OrderStatus, SagaStep
from contracts.events.orders import RejectionReason

strawberry.enum(OrderStatus, description="Where an order stands.")
strawberry.enum(SagaStep, description="What one side of the saga has answered.")
strawberry.enum(RejectionReason, description="Why an order was rejected.")
strawberry.enum(SearchKind, description="What can be found.")

__all__ = ["OrderStatus", "RejectionReason", "SagaStep", "SearchKind"]
