"""What read models say of their keys: an event changes only the document of its partition key."""

from __future__ import annotations

import pytest

from contracts.documents.customers import CUSTOMERS_COLLECTION
from contracts.documents.products import PRODUCTS_COLLECTION
from contracts.events import event_types
from contracts.events.inventory import PRODUCT
from projectors import customer_orders, products
from slackwater.events.event import Cause, Event
from slackwater.events.types import EventType
from slackwater.read_models.fold import refs_of
from tests.unit.given_events import NOW

LOOKED_UP = {
    CUSTOMERS_COLLECTION.name: customer_orders.projection,
    PRODUCTS_COLLECTION.name: products.projection,
}


def event_of(event_type: EventType) -> Event:
    """Return an event with the partition key `key`: a product's is its own, an order's is not."""
    return Event(
        id="1",
        source="test",
        topic=event_type.topic.name,
        type=event_type.name,
        schema_version=event_type.schema_version,
        aggregate_type=event_type.aggregate_type,
        aggregate_id="key" if event_type.aggregate_type == PRODUCT else "aggregate",
        version=1,
        partition_key="key",
        time=NOW,
        data=b"{}",
        cause=Cause.start(),
    )


@pytest.mark.parametrize("collection", LOOKED_UP)
def test_an_event_changes_the_document_of_its_partition_key_alone(collection: str) -> None:
    projection = LOOKED_UP[collection]
    topics = {topic.name: topic.partitions for topic in projection.topics}
    assert projection.read_model.keyed == topics
    events = [event_of(event_type) for event_type in event_types if event_type.topic.name in topics]
    touched = {ref.id for ref in refs_of(projection, events) if ref.collection == collection}
    assert touched == {"key"}
