"""Dead letters and holes in MongoDB, beside the progress that passes them.

A key's hole is one document, which every transaction that parks something of the key rewrites: two
of them, or one that parks and one that closes the hole, are in each other's way, and the later one
is done again. A partition's progress says whether there are any holes, so that progress alone is
read as long as there are none.

Ids are text that begins with the place, from the read model to the partition: what is of one place
is a range of the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo import ReplaceOne

from slackwater.event_log.port import TopicPartition
from slackwater.read_models.dead_letters import (
    HOLES_LISTED_MAX,
    DeadLetter,
    Hole,
    by_place,
    grown,
    together,
)
from slackwater.read_models.mongodb_database import MongodbDatabase, Session, Stored
from slackwater.read_models.mongodb_records import read_record, stored_record
from slackwater.read_models.progress import ModelVersion
from slackwater.read_models.query import prefix_range

_HOLES = "progress_holes"
_LETTERS = "dead_letters"
_BATCH_SIZE = 10_000


@dataclass
class MongodbParking:
    """What one transaction parks: holes that are new, holes that have grown, and new letters."""

    begun: list[Hole] = field(default_factory=list)
    grown: list[Hole] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def holes_begun(self, at: TopicPartition) -> int:
        """Count the holes of a partition that are new."""
        return sum(hole.at == at for hole in self.begun)


class MongodbDeadLetters:
    """The collections `progress_holes` and `dead_letters`."""

    def __init__(self, database: MongodbDatabase) -> None:
        self._holes = database.collection(_HOLES)
        self._letters = database.collection(_LETTERS)

    async def parking(
        self, session: Session, model: ModelVersion, letters: Sequence[DeadLetter]
    ) -> MongodbParking:
        """Return what is to be written so that letters are kept with the holes of their keys.

        Raises:
            ConflictError: of a key that a letter waits behind, nothing is parked.
        """
        grouped = by_place(letters)
        known = await self._known(session, [_id(model, *place) for place in grouped])
        parking = MongodbParking()
        for place, parked in grouped.items():
            before = known.get(place)
            hole, added = grown(before, parked)
            if added:
                (parking.begun if before is None else parking.grown).append(hole)
                parking.letters += added
        return parking

    async def park(self, session: Session, model: ModelVersion, parking: MongodbParking) -> None:
        """Write it; in the same transaction, after the fences were compared."""
        if parking.begun:
            await self._holes.insert_many(
                [_stored_hole(model, hole) for hole in parking.begun], session=session
            )
        if parking.grown:
            stored = [_stored_hole(model, hole) for hole in parking.grown]
            writes = [ReplaceOne({"_id": each["_id"]}, each) for each in stored]
            await self._holes.bulk_write(writes, session=session)
        if parking.letters:
            letters = [_letter(model, letter) for letter in parking.letters]
            await self._letters.insert_many(letters, session=session)

    async def holes_in(
        self, session: Session, model: ModelVersion, at: TopicPartition, after: str, limit: int
    ) -> list[Hole]:
        """Return a page of the holes of a partition."""
        found = self._holes.find(
            _under(model, *at, after=_id(model, at, after) if after else ""),
            sort=[("_id", 1)],
            limit=limit,
            batch_size=limit,
            session=session,
        )
        return [_hole(document) for document in await found.to_list()]

    async def hole_of(
        self, session: Session, model: ModelVersion, at: TopicPartition, key: str
    ) -> Hole | None:
        """Return the hole of a key, if anything of it is parked."""
        found = await self._holes.find_one({"_id": _id(model, at, key)}, session=session)
        return _hole(found) if found is not None else None

    async def listed(self, session: Session, model: ModelVersion) -> tuple[Hole, ...]:
        """Return the holes of a version; of very many, the last ones together."""
        found = self._holes.find(
            _under(model),
            sort=[("_id", 1)],
            limit=HOLES_LISTED_MAX + 1,
            session=session,
            batch_size=_BATCH_SIZE,
        )
        listed = [_hole(document) for document in await found.to_list()]
        if len(listed) <= HOLES_LISTED_MAX:
            return tuple(listed)
        del listed[HOLES_LISTED_MAX:]
        # Of what is listed some may have been closed by now: only what is behind it is counted.
        behind = await self._counted_behind(session, model, listed[-1])
        return (*listed, *together(listed, _with_listed(behind, listed)))

    async def letters(
        self, session: Session, model: ModelVersion, hole: Hole, after: int, limit: int
    ) -> list[DeadLetter]:
        """Return a page of a hole's letters."""
        if limit < 1:  # the server takes 0 for no limit at all
            return []
        found = self._letters.find(
            _letters_of(model, hole, first=max(after + 1, hole.offset)),
            sort=[("_id", 1)],
            limit=limit,
            batch_size=limit,
            session=session,
        )
        return [_read_letter(document) for document in await found.to_list()]

    async def close(self, session: Session, model: ModelVersion, hole: Hole) -> bool:
        """Remove a hole if it is still as it was read."""
        assert hole.key is not None
        id_ = _id(model, hole.at, hole.key)
        closed = await self._holes.delete_one(
            {"_id": id_, "last_offset": hole.last_offset}, session=session
        )
        return closed.deleted_count == 1

    async def remove_letters(self, session: Session, model: ModelVersion, hole: Hole) -> None:
        """Remove the letters of a hole that was closed; who dies before leaves them unused."""
        await self._letters.delete_many(
            _letters_of(model, hole, first=hole.offset), session=session
        )

    async def forget(self, session: Session, model: ModelVersion) -> None:
        """Remove what a version has parked."""
        await self._holes.delete_many(_under(model), session=session)
        await self._letters.delete_many(_under(model), session=session)

    async def _known(
        self, session: Session, ids: Sequence[str]
    ) -> dict[tuple[TopicPartition, str | None], Hole]:
        found = self._holes.find(
            {"_id": {"$in": list(ids)}}, session=session, batch_size=_BATCH_SIZE
        )
        holes = [_hole(document) for document in await found.to_list()]
        return {(hole.at, hole.key): hole for hole in holes}

    async def _counted_behind(
        self, session: Session, model: ModelVersion, last: Hole
    ) -> dict[TopicPartition, tuple[int, int]]:
        assert last.key is not None, "it is told by itself"
        wanted = _under(model, after=_id(model, last.at, last.key))
        group = {
            "_id": {"topic": "$topic", "partition": "$partition"},
            "keys": {"$sum": 1},
            "offset": {"$min": "$offset"},
        }
        counted = await self._holes.aggregate(
            [{"$match": wanted}, {"$group": group}], session=session
        )
        return {
            TopicPartition(**each["_id"]): (each["keys"], each["offset"]) async for each in counted
        }


def _id(model: ModelVersion, at: TopicPartition, key: str) -> str:
    return f"{_place(*model, *at)}{key}"


def _place(*names: str | int) -> str:
    return "".join(f"{name}/" for name in names)


def _under(model: ModelVersion, *place: str | int, after: str = "") -> Stored:
    """Match everything of a version, or of a partition of it, from behind an id on."""
    first, behind = prefix_range(_place(*model, *place))
    return {"_id": {"$gt": after, "$lt": behind} if after else {"$gte": first, "$lt": behind}}


def _with_listed(
    behind: Mapping[TopicPartition, tuple[int, int]], listed: Sequence[Hole]
) -> dict[TopicPartition, tuple[int, int]]:
    """Return how many holes partitions have in all, and their first offsets, from those behind."""
    whole = {}
    for at, (keys, offset) in behind.items():
        offsets = [hole.offset for hole in listed if hole.at == at]
        whole[at] = (keys + len(offsets), min([offset, *offsets]))
    return whole


def _stored_hole(model: ModelVersion, hole: Hole) -> Stored:
    assert hole.key is not None
    return {
        "_id": _id(model, hole.at, hole.key),
        "topic": hole.at.topic,
        "partition": hole.at.partition,
        "key": hole.key,
        "offset": hole.offset,
        "last_offset": hole.last_offset,
        "letters": hole.letters,
        "documents": list(hole.documents) if hole.documents is not None else None,
        "error": hole.error,
        "reason": hole.reason,
    }


def _hole(stored: Stored) -> Hole:
    documents = stored["documents"]
    return Hole(
        at=TopicPartition(stored["topic"], stored["partition"]),
        key=stored["key"],
        offset=stored["offset"],
        last_offset=stored["last_offset"],
        letters=stored["letters"],
        documents=tuple(documents) if documents is not None else None,
        error=stored["error"],
        reason=stored["reason"],
    )


def _letter_id(model: ModelVersion, at: TopicPartition, key: str, offset: int) -> str:
    return f"{_id(model, at, key)}/{offset:019}"


def _letters_of(model: ModelVersion, hole: Hole, *, first: int) -> Stored:
    """Match a hole's letters from an offset on."""
    assert hole.key is not None
    place = model, hole.at, hole.key
    return {
        "_id": {"$gte": _letter_id(*place, first), "$lte": _letter_id(*place, hole.last_offset)}
    }


def _read_letter(stored: Stored) -> DeadLetter:
    documents = stored["documents"]
    return DeadLetter(
        record=read_record(stored),
        documents=tuple(documents) if documents is not None else None,
        error=stored["error"],
        reason=stored["reason"],
        parked_at=datetime.fromisoformat(stored["parked_at"]),
    )


def _letter(model: ModelVersion, letter: DeadLetter) -> Stored:
    record = letter.record
    return {
        "_id": _letter_id(model, record.topic_partition, record.key, record.offset),
        **stored_record(record),
        "documents": list(letter.documents) if letter.documents is not None else None,
        "error": letter.error,
        "reason": letter.reason,
        "parked_at": letter.parked_at.isoformat(),
    }
