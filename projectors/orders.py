"""Read model `orders`: one document an order, for filters and pages without bound."""

from __future__ import annotations

from typing import Any

from contracts.documents.orders import ORDERS_COLLECTION
from contracts.events import event_types
from contracts.events.orders import ORDER
from contracts.read_models import ORDERS_MODEL
from projectors.order_state import ORDER_EVENTS, change_order
from slackwater.events.event import Event, Recorded
from slackwater.read_models.projection import Guard, Projection, Ref, Rows

projection = Projection(ORDERS_MODEL, event_types=event_types, collections=[ORDERS_COLLECTION])


def _order(event: Event) -> Ref:
    return Ref(ORDERS_COLLECTION.name, event.aggregate_id)


def order_changed(rows: Rows, recorded: Recorded[Any]) -> None:
    change_order(rows.edit(_order(recorded.event)), recorded)


projection.follow(ORDER, Guard(row=_order))
for body in ORDER_EVENTS:
    projection.on(body)(order_changed)
