"""Progress in MongoDB, fenced by numbers that only grow.

Each version of a read model and each of its partitions is a document of its own, so that projectors
of different partitions never stand in each other's way. One more a read model names the version
that readers use, so that a switch is one write. A save names the fences of its claim in its
filters, and the server compares them in the transaction that it writes: a projector that was
replaced while it worked cannot move progress, however late it wakes up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from slackwater.errors import FencedError
from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import DeadLetter, Hole, lacks_no_more
from slackwater.read_models.discards import Discard
from slackwater.read_models.mongodb_changes import MongodbChanges
from slackwater.read_models.mongodb_database import MongodbDatabase, Session, Stored
from slackwater.read_models.mongodb_dead_letters import MongodbDeadLetters, MongodbParking
from slackwater.read_models.mongodb_discards import MongodbDiscards
from slackwater.read_models.mongodb_errors import not_replicated
from slackwater.read_models.mongodb_holders import MongodbHolders, number_of
from slackwater.read_models.progress import (
    ActiveVersionError,
    Claim,
    LeftVersionError,
    ModelVersion,
    Place,
    ProgressUpdate,
    ReadModelProgress,
    ReadModelState,
    UnknownReadModelError,
    covers,
    has_left,
)

_COLLECTION = "progress"
_BATCH_SIZE = 10_000


class MongodbProgressStore:
    """Progress in the collection `progress`, beside the documents or without any."""

    def __init__(self, database: MongodbDatabase) -> None:
        self._database = database
        self._collection = database.collection(_COLLECTION)
        self._changes = MongodbChanges(database, self._collection)
        self._holders = MongodbHolders(database, self._collection)
        self._dead_letters = MongodbDeadLetters(database)
        self._discards = MongodbDiscards(database)

    async def register(self, model: ModelVersion) -> None:
        await self._insert(_pointer(model), {"active": model.version})
        is_active = await self._active(model) == model.version
        state = ReadModelState.RUNNING if is_active else ReadModelState.REBUILDING
        new = {"state": state.value, "reason": None, "events_applied": 0}
        await self._insert(_id(model), new)

    async def claim(self, model: ModelVersion, partitions: Sequence[TopicPartition]) -> Claim:
        """Take the partitions over; whoever held them can write no more, not even what is open."""
        claimed: dict[TopicPartition, Stored] = {}

        async def work(session: Session) -> None:
            await self._require_registered(session, model)
            claimed.update(await self._raise_fences(session, model, partitions))

        ids = [_id(model, partition) for partition in partitions]
        async with self._holders.session(model) as session:
            if ids:
                await self._holders.end_predecessors(session, ids)
            await self._database.transaction(work, within=session)
        return Claim(
            model=model,
            fences={partition: found["fence"] for partition, found in claimed.items()},
            positions={partition: found["position"] for partition, found in claimed.items()},
            timelines=_timelines(claimed),
        )

    async def save(self, update: ProgressUpdate) -> None:
        """Save in one transaction; what is of one partition is one document, whole by itself."""
        if len(update.positions) > 1 or update.parked or update.discarded:
            await self.transaction(update, lambda session: self.advance(session, update))
            return
        async with self._database.session() as session:
            await self.advance(session, update)
            self._database.witness(session.operation_time)

    async def transaction(
        self, update: ProgressUpdate, work: Callable[[Session], Awaitable[None]]
    ) -> None:
        """Do the work in the session that whoever claims the partitions next will end."""
        async with self._holders.session(update.claim.model) as session:
            await self._database.transaction(work, within=session)

    async def holes(
        self, model: ModelVersion, at: TopicPartition, *, after: str = "", limit: int
    ) -> list[Hole]:
        async with self._database.session() as session:
            return await self._dead_letters.holes_in(session, model, at, after, limit)

    async def hole(self, model: ModelVersion, at: TopicPartition, key: str) -> Hole | None:
        async with self._database.session() as session:
            return await self._dead_letters.hole_of(session, model, at, key)

    async def letters(
        self, model: ModelVersion, hole: Hole, *, after: int = -1, limit: int
    ) -> list[DeadLetter]:
        async with self._database.session() as session:
            return await self._dead_letters.letters(session, model, hole, after, limit)

    async def discards(
        self, read_model: str, *, after: Discard | None = None, limit: int
    ) -> list[Discard]:
        async with self._database.session() as session:
            return await self._discards.page_of(session, read_model, after, limit)

    async def close_hole(self, model: ModelVersion, hole: Hole) -> bool:
        closed = False

        async def work(session: Session) -> None:
            nonlocal closed
            closed = await self._dead_letters.close(session, model, hole)
            if closed:
                await self._count_closed(session, model, hole)

        await self._database.transaction(work)
        if closed:
            async with self._database.session() as session:
                await self._dead_letters.remove_letters(session, model, hole)
        return closed

    async def note_written(self, update: ProgressUpdate) -> None:
        claim = update.claim
        notes = [
            UpdateOne(
                _id(claim.model, partition) | {"fence": claim.fences.get(partition, 0)},
                {"$max": {"written": position}},
            )
            for partition, position in sorted(update.positions.items())
        ]
        if notes:
            async with self._database.session() as session:
                await self._collection.bulk_write(notes, session=session)

    async def set_state(
        self, model: ModelVersion, state: ReadModelState, reason: str | None = None
    ) -> None:
        change = {"$set": {"state": state.value, "reason": reason}}
        if await self._update(_id(model), change) == 0:
            raise UnknownReadModelError(model)

    async def activate(self, model: ModelVersion) -> bool:
        """Switch unless a position is missing; whoever writes the version before is fenced off.

        Raising the fences of the version before makes this transaction conflict with every save
        that is on its way, so none can get in between the comparison and the switch.
        """
        activated = False

        async def work(session: Session) -> None:
            nonlocal activated
            await self._require_registered(session, model)
            before = ModelVersion(model.read_model, await self._active(model, session))
            await self._collection.update_many(
                _partitions_of(before), {"$inc": {"fence": 1}}, session=session
            )
            built = await self._collection.find_one(_id(model), session=session) or {}
            is_outdated = built.get("outdated", False)
            activated = not is_outdated and await self._has_all(session, model, before)
            if not activated:
                raise _NotYetError
            change = {"$set": {"active": model.version}}
            await self._collection.update_one(_pointer(model), change, session=session)
            running = {"$set": {"state": ReadModelState.RUNNING.value, "reason": None}}
            await self._collection.update_one(_id(model), running, session=session)

        with suppress(_NotYetError):
            await self._database.transaction(work)
        return activated

    async def forget(self, model: ModelVersion) -> None:
        async def work(session: Session) -> None:
            if await self._active(model, session) == model.version:
                raise ActiveVersionError(model)
            await self._collection.delete_many(_partitions_of(model), session=session)
            await self._collection.delete_one(_id(model), session=session)
            await self._dead_letters.forget(session, model)

        await self._database.transaction(work)

    async def load(self) -> list[ReadModelProgress]:
        """Return the progress of every version; what this handle reads from now on is newer."""
        async with self._database.session() as session:
            found = self._collection.find({}, session=session, batch_size=_BATCH_SIZE)
            documents = await found.to_list()
            if session.operation_time is None:
                raise not_replicated("it gives no operation time")
            # Positions first and holes second: every hole that a position has passed is seen.
            holes = {
                model: await self._dead_letters.listed(session, model)
                for model in sorted(_with_holes(documents))
            }
            # And stamps third: one of the holes may have been seen closed only now.
            later = await self._stamps(session) if holes else []
            self._database.witness(session.operation_time)
        return _progress(documents, holes, _stamps_of([*documents, *later]))

    async def active(self, read_model: str) -> int | None:
        async with self._database.session() as session:
            return await self._active(ModelVersion(read_model), session) or None

    async def wait_for_change(self, *, timeout_ms: int) -> None:
        await self._changes.wait(timeout_ms=timeout_ms)

    async def advance(self, session: Session, update: ProgressUpdate) -> None:
        """Move progress forward, inside the transaction of the effects that it covers if any.

        Raises:
            FencedError: a partition was not claimed, was claimed by somebody else since, or was
                put back.
            ConflictError: of a key that events are parked behind, nothing is parked any more.
            LeftVersionError: something is discarded, and a later version is active.
            UnknownReadModelError: no position moves, and the version was dropped.
        """
        claim, events = update.claim, update.events_applied
        parking = MongodbParking()
        if update.parked:
            parking = await self._dead_letters.parking(session, claim.model, update.parked)
        if update.discarded:
            await self._discard(session, update)
        if not update.positions:
            await self._count_events(session, update)
            return  # no claim fences this off, so the version itself must still be there
        moves = []
        for partition, position in sorted(update.positions.items()):
            guard: Stored = {"fence": claim.fences.get(partition, 0)}
            if partition in update.moves_from:
                guard["position"] = {"$gte": update.moves_from[partition]}
            counts = {"events_applied": events, "holes": parking.holes_begun(partition)}
            change: Stored = {"$max": {"position": position} | _stamped_with(update)}
            change["$inc"] = counts
            if partition in update.timelines:
                change["$set"] = {"timeline": update.timelines[partition]}
            moves.append(UpdateOne(_id(claim.model, partition) | guard, change))
            events = 0  # counted with the first one
        moved = await self._collection.bulk_write(moves, session=session)
        if moved.matched_count < len(moves):
            raise _fenced(update)
        await self._dead_letters.park(session, claim.model, parking)

    async def close(self) -> None:
        """Stop listening; the database belongs to whoever opened it."""
        await self._changes.close()
        await self._holders.close()

    async def _insert(self, id_: Stored, new: Mapping[str, Any]) -> None:
        with suppress(DuplicateKeyError):  # another process was faster
            await self._update(id_, {"$setOnInsert": new}, upsert=True)

    async def _update(self, id_: Stored, change: Mapping[str, Any], *, upsert: bool = False) -> int:
        async with self._database.session() as session:
            updated = await self._collection.update_one(id_, change, upsert=upsert, session=session)
            self._database.witness(session.operation_time)
        return updated.matched_count

    async def _active(self, model: ModelVersion, session: Session | None = None) -> int:
        """Return the version that readers use, 0 where none is registered."""
        pointer = await self._collection.find_one(_pointer(model), session=session)
        return pointer["active"] if pointer is not None else 0

    async def _count_closed(self, session: Session, model: ModelVersion, hole: Hole) -> None:
        """Count a hole less; what it had lacked is behind a stamp that stands in the same document.

        Otherwise whoever loads progress could find the hole closed and miss the stamp.
        """
        whole = await self._require_registered(session, model)
        change: Stored = {"$inc": {"holes": -1}}
        if "stamp" in whole:
            change["$max"] = {"stamp": whole["stamp"]}
        await self._collection.update_one(_id(model, hole.at), change, session=session)

    async def _require_registered(self, session: Session, model: ModelVersion) -> Stored:
        found = await self._collection.find_one(_id(model), session=session)
        if found is None:
            raise UnknownReadModelError(model)
        return found

    async def _has_all(self, session: Session, model: ModelVersion, before: ModelVersion) -> bool:
        """Tell whether a version has everything that the one before it has."""
        new, old = await self._places(session, model), await self._places(session, before)
        if not covers(new, old):
            return False
        left = {at for at, place in new.items() if has_left(place, old.get(at, Place()))}
        return lacks_no_more(
            await self._dead_letters.listed(session, model),
            await self._dead_letters.listed(session, before),
            left,
        )

    async def _stamps(self, session: Session) -> list[Stored]:
        """Return nothing but the stamps of all documents that have one."""
        found = self._collection.find(
            {"stamp": {"$exists": True}}, {"stamp": 1}, session=session, batch_size=_BATCH_SIZE
        )
        return await found.to_list()

    async def _places(self, session: Session, model: ModelVersion) -> dict[TopicPartition, Place]:
        found = self._collection.find(
            _partitions_of(model), session=session, batch_size=_BATCH_SIZE
        )
        return {
            _partition(each): Place(each["position"], each.get("timeline"))
            for each in await found.to_list()
        }

    async def _raise_fences(
        self, session: Session, model: ModelVersion, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Stored]:
        if not partitions:
            return {}
        change = {
            "$inc": {"fence": 1},
            "$set": {"holder": number_of(session)},
            "$setOnInsert": {"position": 0, "events_applied": 0},
        }
        ids = [_id(model, partition) for partition in partitions]
        raises = [UpdateOne(id_, change, upsert=True) for id_ in ids]
        await self._collection.bulk_write(raises, session=session)
        found = self._collection.find({"$or": ids}, session=session, batch_size=_BATCH_SIZE)
        return {_partition(document): document for document in await found.to_list()}

    async def _discard(self, session: Session, update: ProgressUpdate) -> None:
        """Keep discards, and versions that may have applied them from being activated.

        A switch that is on its way has changed what it switches to, and one of the two is repeated.
        """
        model = update.claim.model
        active = await self._active(model, session)
        if active > model.version:
            raise LeftVersionError(model)
        await self._discards.put(session, model.read_model, update.discarded)
        others = {
            "_id.read_model": model.read_model,
            "_id.version": {"$exists": True, "$nin": [model.version, active]},
            "_id.topic": {"$exists": False},
        }
        await self._collection.update_many(others, {"$set": {"outdated": True}}, session=session)

    async def _count_events(self, session: Session, update: ProgressUpdate) -> None:
        model = update.claim.model
        change: Stored = {"$inc": {"events_applied": update.events_applied}}
        if update.stamp is not None:
            change["$max"] = _stamped_with(update)
        counted = await self._collection.update_one(_id(model), change, session=session)
        if not counted.matched_count:
            raise UnknownReadModelError(model)


class _NotYetError(Exception):
    """Takes a switch back that came too early."""


def _pointer(model: ModelVersion) -> Stored:
    return {"_id": {"read_model": model.read_model}}


def _id(model: ModelVersion, partition: TopicPartition | None = None) -> Stored:
    place: Stored = {"read_model": model.read_model, "version": model.version}
    if partition is not None:
        place |= {"topic": partition.topic, "partition": partition.partition}
    return {"_id": place}


def _partitions_of(model: ModelVersion) -> Stored:
    """Match every partition of a version; the collection is small enough to be scanned."""
    return {
        "_id.read_model": model.read_model,
        "_id.version": model.version,
        "_id.topic": {"$exists": True},
    }


def _partition(document: Stored) -> TopicPartition:
    return TopicPartition(document["_id"]["topic"], document["_id"]["partition"])


def _timelines(documents: Mapping[TopicPartition, Stored]) -> dict[TopicPartition, str]:
    """Return the timeline of each partition that has one."""
    return {
        partition: document["timeline"]
        for partition, document in documents.items()
        if "timeline" in document
    }


def _model(document: Stored) -> ModelVersion:
    return ModelVersion(document["_id"]["read_model"], document["_id"]["version"])


def _stamped_with(update: ProgressUpdate) -> Stored:
    return {"stamp": update.stamp} if update.stamp is not None else {}


def _stamps_of(documents: Iterable[Stored]) -> dict[ModelVersion, str]:
    """Return the greatest stamp of each version that has one."""
    stamps: dict[ModelVersion, str] = {}
    for document in documents:
        if "stamp" in document:
            model = _model(document)
            stamps[model] = max(document["stamp"], stamps.get(model, ""))
    return stamps


def _fenced(update: ProgressUpdate) -> FencedError:
    partitions = ", ".join(f"{topic}[{number}]" for topic, number in sorted(update.positions))
    return FencedError(
        f"{update.claim.model.read_model} no longer owns all of {partitions}, or was put back; "
        "stop writing and claim anew"
    )


def _with_holes(documents: Sequence[Stored]) -> set[ModelVersion]:
    return {_model(document) for document in documents if document.get("holes")}


def _progress(
    documents: Sequence[Stored],
    holes: Mapping[ModelVersion, tuple[Hole, ...]],
    stamps: Mapping[ModelVersion, str],
) -> list[ReadModelProgress]:
    active: dict[str, int] = {}
    models: dict[ModelVersion, Stored] = {}
    partitions: defaultdict[ModelVersion, list[Stored]] = defaultdict(list)
    for document in documents:
        if "version" not in document["_id"]:
            active[document["_id"]["read_model"]] = document["active"]
        elif "topic" in document["_id"]:
            partitions[_model(document)].append(document)
        else:
            models[_model(document)] = document
    return [
        _progress_of(
            model,
            models[model],
            partitions[model],
            active=active.get(model.read_model) == model.version,
            holes=holes.get(model, ()),
            stamp=stamps.get(model),
        )
        for model in sorted(models)
    ]


def _progress_of(
    model: ModelVersion,
    stored: Stored,
    partitions: Sequence[Stored],
    *,
    active: bool,
    holes: tuple[Hole, ...],
    stamp: str | None,
) -> ReadModelProgress:
    return ReadModelProgress(
        model=model,
        active=active,
        state=ReadModelState(stored["state"]),
        reason=stored["reason"],
        positions={_partition(document): document["position"] for document in partitions},
        timelines=_timelines({_partition(document): document for document in partitions}),
        events_applied=sum(document["events_applied"] for document in (stored, *partitions)),
        written={
            _partition(document): document["written"]
            for document in partitions
            if document.get("written", 0) > document["position"]
        },
        holes=holes,
        is_outdated=stored.get("outdated", False),
        stamp=stamp,
    )
