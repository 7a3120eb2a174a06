"""Progress in MongoDB, fenced by numbers that only grow.

A read model and each of its partitions is a document of its own, so that projectors of different
partitions never stand in each other's way. A save names the fences of its claim in its filters, and
the server compares them in the transaction that it writes: a projector that was replaced while it
worked cannot move progress, however late it wakes up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from slackwater.errors import FencedError
from slackwater.event_log.port import TopicPartition
from slackwater.read_models.mongodb_changes import MongodbChanges
from slackwater.read_models.mongodb_database import MongodbDatabase, Session, Stored
from slackwater.read_models.mongodb_errors import not_replicated
from slackwater.read_models.progress import (
    Claim,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
    UnknownReadModelError,
)

_COLLECTION = "progress"
_BATCH_SIZE = 10_000


class MongodbProgressStore:
    """Progress in the collection `progress`, beside the documents or without any."""

    def __init__(self, database: MongodbDatabase) -> None:
        self._database = database
        self._collection = database.collection(_COLLECTION)
        self._changes = MongodbChanges(database, self._collection)

    async def register(self, read_model: str, version: int) -> None:
        new = {
            "version": version,
            "state": ReadModelState.RUNNING.value,
            "reason": None,
            "events_applied": 0,
        }
        with suppress(DuplicateKeyError):  # another process was faster
            await self._update(read_model, {"$setOnInsert": new}, upsert=True)

    async def claim(self, read_model: str, partitions: Sequence[TopicPartition]) -> Claim:
        """Fence off every earlier claim on these partitions and return where to go on.

        Raises:
            UnknownReadModelError: the read model is not registered.
        """
        claimed: dict[TopicPartition, Stored] = {}

        async def work(session: Session) -> None:
            if not await self._collection.find_one(_id(read_model), session=session):
                raise UnknownReadModelError(read_model)
            claimed.update(await self._raise_fences(session, read_model, partitions))

        await self._database.transaction(work)
        return Claim(
            read_model=read_model,
            fences={partition: found["fence"] for partition, found in claimed.items()},
            positions={partition: found["position"] for partition, found in claimed.items()},
        )

    async def save(self, update: ProgressUpdate) -> None:
        await self._database.transaction(lambda session: self.advance(session, update))

    async def set_state(
        self, read_model: str, state: ReadModelState, reason: str | None = None
    ) -> None:
        """Say how the read model fares.

        Raises:
            UnknownReadModelError: the read model is not registered.
        """
        change = {"$set": {"state": state.value, "reason": reason}}
        if await self._update(read_model, change) == 0:
            raise UnknownReadModelError(read_model)

    async def load(self) -> list[ReadModelProgress]:
        """Return the progress of all read models; what this handle reads from now on is newer."""
        async with self._database.session() as session:
            found = self._collection.find({}, session=session, batch_size=_BATCH_SIZE)
            documents = await found.to_list()
            if session.operation_time is None:
                raise not_replicated("it gives no operation time")
            self._database.witness(session.operation_time)
        return _progress(documents)

    async def wait_for_change(self, *, timeout_ms: int) -> None:
        await self._changes.wait(timeout_ms=timeout_ms)

    async def advance(self, session: Session, update: ProgressUpdate) -> None:
        """Move progress forward inside the transaction of the effects that it covers.

        Raises:
            FencedError: a partition was not claimed, or was claimed by somebody else since.
        """
        claim, events = update.claim, update.events_applied
        if not update.positions:
            await self._count_events(session, claim.read_model, events)
            return
        moves = []
        for partition, position in sorted(update.positions.items()):
            guard = {"fence": claim.fences.get(partition, 0)}
            change = {"$max": {"position": position}, "$inc": {"events_applied": events}}
            moves.append(UpdateOne(_id(claim.read_model, partition) | guard, change))
            events = 0  # counted with the first one
        moved = await self._collection.bulk_write(moves, session=session)
        if moved.matched_count < len(moves):
            raise _fenced(update)

    async def close(self) -> None:
        """Stop listening; the database belongs to whoever opened it."""
        await self._changes.close()

    async def _update(
        self, read_model: str, change: Mapping[str, Any], *, upsert: bool = False
    ) -> int:
        async with self._database.session() as session:
            updated = await self._collection.update_one(
                _id(read_model), change, upsert=upsert, session=session
            )
            self._database.witness(session.operation_time)
        return updated.matched_count

    async def _raise_fences(
        self, session: Session, read_model: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Stored]:
        if not partitions:
            return {}
        change = {"$inc": {"fence": 1}, "$setOnInsert": {"position": 0, "events_applied": 0}}
        ids = [_id(read_model, partition) for partition in partitions]
        raises = [UpdateOne(id_, change, upsert=True) for id_ in ids]
        await self._collection.bulk_write(raises, session=session)
        found = self._collection.find({"$or": ids}, session=session, batch_size=_BATCH_SIZE)
        return {_partition(document): document for document in await found.to_list()}

    async def _count_events(self, session: Session, read_model: str, events: int) -> None:
        if events:
            change = {"$inc": {"events_applied": events}}
            await self._collection.update_one(_id(read_model), change, session=session)


def _id(read_model: str, partition: TopicPartition | None = None) -> Stored:
    place: Stored = {"read_model": read_model}
    if partition is not None:
        place |= {"topic": partition.topic, "partition": partition.partition}
    return {"_id": place}


def _partition(document: Stored) -> TopicPartition:
    return TopicPartition(document["_id"]["topic"], document["_id"]["partition"])


def _fenced(update: ProgressUpdate) -> FencedError:
    partitions = ", ".join(f"{topic}[{number}]" for topic, number in sorted(update.positions))
    return FencedError(
        f"{update.claim.read_model} no longer owns all of {partitions}; stop writing and claim anew"
    )


def _progress(documents: Sequence[Stored]) -> list[ReadModelProgress]:
    partitions: defaultdict[str, list[Stored]] = defaultdict(list)
    for document in documents:
        if "topic" in document["_id"]:
            partitions[document["_id"]["read_model"]].append(document)
    read_models = [document for document in documents if "topic" not in document["_id"]]
    return [
        _progress_of(document, partitions[document["_id"]["read_model"]])
        for document in sorted(read_models, key=lambda found: found["_id"]["read_model"])
    ]


def _progress_of(read_model: Stored, partitions: Sequence[Stored]) -> ReadModelProgress:
    return ReadModelProgress(
        read_model=read_model["_id"]["read_model"],
        version=read_model["version"],
        state=ReadModelState(read_model["state"]),
        reason=read_model["reason"],
        positions={_partition(document): document["position"] for document in partitions},
        events_applied=sum(document["events_applied"] for document in (read_model, *partitions)),
    )
