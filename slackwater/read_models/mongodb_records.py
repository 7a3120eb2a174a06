"""Records of the log as they are kept in documents of MongoDB."""

from __future__ import annotations

from slackwater.event_log.port import Record
from slackwater.read_models.mongodb_database import Stored


def stored_record(record: Record) -> Stored:
    """Return the fields that keep a record; headers as pairs, as their names may have dots."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "value": record.value,
        "headers": [[name, text] for name, text in record.headers.items()],
    }


def read_record(stored: Stored) -> Record:
    """Read a record back."""
    return Record(
        topic=stored["topic"],
        partition=stored["partition"],
        offset=stored["offset"],
        key=stored["key"],
        value=bytes(stored["value"]),
        headers=dict(stored["headers"]),
    )
