"""Dead letters: the events that a read model could not apply, and those that wait behind them.

A poisonous event is parked together with the progress that passes it, and the later events of its
key in its topic are parked behind it, in the order of the log. Together they are the key's hole:
what they would have changed may not be told of as if nothing were missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from slackwater.errors import ConflictError
from slackwater.event_log.port import Record, TopicPartition

HOLES_LISTED_MAX = 1_000
"""How many holes of a version are listed one by one; further ones are told of together."""
_DOCUMENTS_MAX = 100


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One parked event, as it stood in the log.

    `documents` are the ids of what it would have changed; None where that cannot be read. Without
    an `error` (the kind of what was wrong) and a `reason` it only waits behind one that has them.
    """

    record: Record
    documents: tuple[str, ...] | None
    error: str | None = None
    reason: str | None = None
    parked_at: datetime


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a read model lacks of one key in one partition of a topic.

    Everything before `offset` is applied, and of the key nothing from there on: its letters lie
    from `offset` to `last_offset`. `documents` are the ids of what may be too old by that; None
    stands for any. A hole without a key stands for those of as many `keys`, all told together.
    """

    at: TopicPartition
    key: str | None
    offset: int
    last_offset: int
    letters: int
    documents: tuple[str, ...] | None
    error: str
    reason: str
    keys: int = 1


def by_place(
    letters: Iterable[DeadLetter],
) -> Mapping[tuple[TopicPartition, str], list[DeadLetter]]:
    """Group letters by partition and key: those of one hole, in their order."""
    grouped: defaultdict[tuple[TopicPartition, str], list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        grouped[letter.record.topic_partition, letter.record.key].append(letter)
    return grouped


def grown(hole: Hole | None, letters: Sequence[DeadLetter]) -> tuple[Hole, list[DeadLetter]]:
    """Return a key's hole with further letters, and those of them that were not in it yet.

    Raises:
        ConflictError: there is no hole, and the first letter would wait behind nothing.
    """
    added = [one for one in letters if hole is None or one.record.offset > hole.last_offset]
    if hole is None:
        hole, added = _begun(letters[0]), list(letters)
    documents = hole.documents
    for letter in added:
        documents = _united(documents, letter.documents)
    count = hole.letters + len(added)
    last = max([hole.last_offset, *(one.record.offset for one in added)])
    return replace(hole, documents=documents, letters=count, last_offset=last), added


def together(listed: Sequence[Hole], whole: Mapping[TopicPartition, tuple[int, int]]) -> list[Hole]:
    """Return what stands for the holes that are not listed, one hole a partition.

    Args:
        listed: the holes that are told of one by one.
        whole: of each partition, how many holes it has in all, and its first offset that is parked.
    """
    rest = []
    for at, (keys, offset) in whole.items():
        unlisted = keys - sum(hole.at == at for hole in listed)
        if unlisted > 0:
            rest.append(_unlisted(at, unlisted, offset))
    return rest


def lacks_no_more(
    new: Sequence[Hole], old: Sequence[Hole], but_of: Collection[TopicPartition] = ()
) -> bool:
    """Tell whether a version with the `new` holes has all that one with the `old` ones has.

    Partitions in `but_of` are not compared.
    """
    known = {(hole.at, hole.key): hole.offset for hole in old}
    return all(
        hole.key is not None and known.get((hole.at, hole.key), hole.offset + 1) <= hole.offset
        for hole in new
        if hole.at not in but_of
    )


def _begun(letter: DeadLetter) -> Hole:
    record = letter.record
    if letter.error is None:
        raise ConflictError(
            f"nothing is parked of key {record.key} in {record.topic}[{record.partition}] any "
            "more; fold again"
        )
    return Hole(
        at=record.topic_partition,
        key=record.key,
        offset=record.offset,
        last_offset=record.offset,
        letters=0,
        documents=(),
        error=letter.error,
        reason=letter.reason or letter.error,
    )


def _united(
    documents: tuple[str, ...] | None, more: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if documents is None or more is None:
        return None
    union = dict.fromkeys((*documents, *more))
    return tuple(union) if len(union) <= _DOCUMENTS_MAX else None


def _unlisted(at: TopicPartition, keys: int, offset: int) -> Hole:
    return Hole(
        at=at,
        key=None,
        offset=offset,
        last_offset=offset,
        letters=keys,
        documents=None,
        error="UnlistedHoles",
        reason=f"{keys} further keys of {at.topic}[{at.partition}] are parked",
        keys=keys,
    )
