"""Events as rows of a table of events, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from slackwater.events.event import Cause, Event


def to_row(event: Event) -> dict[str, Any]:
    """Return the columns of a new event; its position and its mark are the database's."""
    cause = event.cause
    return {
        "id": event.id,
        "topic": event.topic,
        "aggregatetype": event.aggregate_type,
        "aggregateid": event.aggregate_id,
        "version": event.version,
        "type": event.type,
        "schemaversion": event.schema_version,
        "partitionkey": event.partition_key,
        "payload": event.data,
        "recorded_at": event.time.isoformat(),
        "correlationid": cause.correlation_id,
        "causationid": cause.causation_id,
        "actor": cause.actor,
        "traceparent": cause.traceparent,
    }


def from_columns(row: Sequence[Any], source: str) -> Event:
    """Read an event of a source from all columns of its table, in their order.

    The same as `to_event`, at half the price: long streams are read by this.
    """
    (
        _,
        event_id,
        topic,
        aggregate_type,
        aggregate_id,
        version,
        type_,
        schema_version,
        partition_key,
        payload,
        recorded_at,
        correlation_id,
        causation_id,
        actor,
        traceparent,
        *_,
    ) = row
    return Event(
        id=event_id,
        source=source,
        topic=topic,
        type=type_,
        schema_version=schema_version,
        aggregate_type=aggregate_type,
        aggregate_id=aggregate_id,
        version=version,
        partition_key=partition_key,
        time=datetime.fromisoformat(recorded_at),
        data=payload,
        cause=Cause(
            correlation_id=correlation_id,
            causation_id=causation_id,
            actor=actor,
            traceparent=traceparent,
        ),
    )


def to_event(row: Any, source: str) -> Event:
    """Read an event of a source from its row, whose columns are attributes."""
    return Event(
        id=row.id,
        source=source,
        topic=row.topic,
        type=row.type,
        schema_version=row.schemaversion,
        aggregate_type=row.aggregatetype,
        aggregate_id=row.aggregateid,
        version=row.version,
        partition_key=row.partitionkey,
        time=datetime.fromisoformat(row.recorded_at),
        data=row.payload,
        cause=Cause(
            correlation_id=row.correlationid,
            causation_id=row.causationid,
            actor=row.actor,
            traceparent=row.traceparent,
        ),
    )
