"""Events on the log: CloudEvents 1.0 in binary mode, attributes in headers, data as JSON.

The same headers serve Kafka and the embedded log. Extension attributes follow CloudEvents' naming
rule (lower-case letters and digits). `ce_timeline` is set by whoever publishes: it tells of the
publication, not of the event, which stays the same when it is published again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from slackwater.errors import PoisonousEventError
from slackwater.events.event import Cause, Event

ID_HEADER = "ce_id"
TYPE_HEADER = "ce_type"
TIMELINE_HEADER = "ce_timeline"

_OPTIONAL = {
    "causation_id": "ce_causationid",
    "actor": "ce_actor",
    "traceparent": "traceparent",
}


def to_headers(event: Event) -> dict[str, str]:
    """Return the headers that carry everything of the event but its data and topic."""
    headers = {
        "ce_specversion": "1.0",
        ID_HEADER: event.id,
        "ce_source": event.source,
        TYPE_HEADER: event.type,
        "ce_time": event.time.isoformat(),
        "ce_subject": event.aggregate_id,
        "ce_aggregatetype": event.aggregate_type,
        "ce_aggregateversion": str(event.version),
        "ce_schemaversion": str(event.schema_version),
        "ce_correlationid": event.cause.correlation_id,
        "ce_partitionkey": event.partition_key,
        "content-type": "application/json",
    }
    for attribute, header in _OPTIONAL.items():
        value = getattr(event.cause, attribute)
        if value is not None:
            headers[header] = value
    return headers


def from_headers(topic: str, headers: Mapping[str, str], data: bytes) -> Event:
    """Read an event back.

    Raises:
        PoisonousEventError: a header is missing or malformed.
    """
    try:
        return Event(
            id=headers[ID_HEADER],
            source=headers["ce_source"],
            topic=topic,
            type=headers[TYPE_HEADER],
            schema_version=int(headers["ce_schemaversion"]),
            aggregate_type=headers["ce_aggregatetype"],
            aggregate_id=headers["ce_subject"],
            version=int(headers["ce_aggregateversion"]),
            partition_key=headers["ce_partitionkey"],
            time=datetime.fromisoformat(headers["ce_time"]),
            data=data,
            cause=Cause(
                correlation_id=headers["ce_correlationid"],
                **{name: headers.get(header) for name, header in _OPTIONAL.items()},
            ),
        )
    except (KeyError, ValueError) as error:
        raise PoisonousEventError(
            f"a record on {topic} is no CloudEvent of ours: {error!r}; mend its producer"
        ) from error
