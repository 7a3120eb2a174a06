"""Discards in MongoDB, beside the progress that passes them.

Ids are text that begins with the place, so that a page is a range of the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo import ReplaceOne

from slackwater.event_log.port import Record
from slackwater.read_models.discards import Discard, Treatment
from slackwater.read_models.mongodb_database import MongodbDatabase, Session, Stored
from slackwater.read_models.mongodb_records import read_record, stored_record
from slackwater.read_models.query import prefix_range

_COLLECTION = "discards"


class MongodbDiscards:
    """The collection `discards`."""

    def __init__(self, database: MongodbDatabase) -> None:
        self._discards = database.collection(_COLLECTION)

    async def put(self, session: Session, read_model: str, discards: Sequence[Discard]) -> None:
        """Keep discards; of an event the last one counts."""
        stored = [_stored(read_model, discard) for discard in discards]
        writes = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in stored]
        await self._discards.bulk_write(writes, session=session)

    async def page_of(
        self, session: Session, read_model: str, after: Discard | None, limit: int
    ) -> list[Discard]:
        """Return a page of a read model's discards."""
        first, behind = prefix_range(f"{read_model}/")
        wanted = {"$gte": first} if after is None else {"$gt": _id(read_model, after.record)}
        found = self._discards.find(
            {"_id": wanted | {"$lt": behind}},
            sort=[("_id", 1)],
            limit=limit,
            batch_size=limit,
            session=session,
        )
        return [_discard(document) for document in await found.to_list()]


def _id(read_model: str, record: Record) -> str:
    # NUL sorts before whatever a longer topic's name goes on with.
    return f"{read_model}/{record.topic}\0{record.partition:010}/{record.offset:019}"


def _stored(read_model: str, discard: Discard) -> Stored:
    return {
        "_id": _id(read_model, discard.record),
        **stored_record(discard.record),
        "treatment": discard.treatment.value,
        "version_before": discard.version_before,
        "error": discard.error,
        "reason": discard.reason,
        "by": discard.by,
        "why": discard.why,
        "discarded_at": discard.discarded_at.isoformat(),
    }


def _discard(stored: Stored) -> Discard:
    return Discard(
        record=read_record(stored),
        treatment=Treatment(stored["treatment"]),
        version_before=stored["version_before"],
        error=stored["error"],
        reason=stored["reason"],
        by=stored["by"],
        why=stored["why"],
        discarded_at=datetime.fromisoformat(stored["discarded_at"]),
    )
