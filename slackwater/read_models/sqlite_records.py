"""Records of the log as they are kept in rows of SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from slackwater.event_log.port import Record

RECORD_COLUMNS = "topic, partition, offset, key, value, headers"


def record_values(record: Record) -> tuple[Any, ...]:
    """Return what stands in the columns of a record."""
    place = (*record.topic_partition, record.offset, record.key)
    return (*place, record.value, msgspec.json.encode(record.headers).decode())


def read_record(values: Sequence[Any]) -> Record:
    """Read a record back from its columns."""
    topic, partition, offset, key, value, headers = values
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        headers=msgspec.json.decode(headers),
    )
