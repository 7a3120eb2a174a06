"""Going without a record that has no key.

A read model halts before such a record, as nobody knows what would have to wait behind it. Nothing
of it is parked, so it is discarded at its place: the projector passes it when it starts again, and
so does every rebuild.
"""

from __future__ import annotations

from slackwater.errors import StructuralError
from slackwater.event_log.port import EventLog, Record, TopicPartition
from slackwater.event_log.reading import read_between
from slackwater.installation import Installation
from slackwater.parts.replay import Decision
from slackwater.read_models.discards import Discard, Treatment
from slackwater.read_models.progress import (
    Claim,
    ModelVersion,
    ProgressUpdate,
    ReadModelProgress,
    active_entry,
)
from slackwater.read_models.projector import KeylessEventError


async def discard_keyless(
    installation: Installation,
    read_model: str,
    at: TopicPartition,
    decision: Decision,
    *,
    apply: bool,
) -> Discard:
    """Leave the record out at the offset of the decision, or without `apply` only see which it is.

    Raises:
        StructuralError: the read model does not stand before it, or it has a key.
    """
    installation.manifest.projection(read_model)  # refuses a name that is none
    progress, offset = installation.documents.progress, decision.offset
    assert offset is not None
    active = active_entry(await progress.load(), read_model)
    _require_before(active, read_model, at, offset)
    record = await _record(installation.event_log, at, offset)
    if record.key:
        raise StructuralError(
            f"the event at offset {offset} of {at.topic}[{at.partition}] has the key {record.key}: "
            "it is parked if it fails; see `slackwater dead-letter list`"
        )
    error = KeylessEventError(read_model, record)
    discard = Discard(
        record=record,
        treatment=Treatment.UNREADABLE,
        version_before=0,
        error=type(error).__name__,
        reason="it has no key",
        by=decision.by,
        why=decision.why,
        discarded_at=installation.clock.now(),
    )
    if apply:
        assert active is not None
        await progress.save(_update(active.model, discard))
    return discard


def _require_before(
    active: ReadModelProgress | None, read_model: str, at: TopicPartition, offset: int
) -> None:
    position = active.positions.get(at) if active is not None else None
    if position != offset:
        where = f"at {position}" if position is not None else "nowhere"
        raise StructuralError(
            f"{read_model} stands {where} in {at.topic}[{at.partition}] and not before {offset}; "
            "`slackwater lag` says what has halted it"
        )


async def _record(log: EventLog, at: TopicPartition, offset: int) -> Record:
    ends = await log.end_offsets([at.topic])
    if offset < ends.get(at, 0):  # of the other partitions nothing is wanted
        async for records in read_between(log, {**ends, at: offset}, {**ends, at: offset + 1}):
            return records[0]
    raise StructuralError(f"{at.topic}[{at.partition}] has nothing at offset {offset}")


def _update(model: ModelVersion, discard: Discard) -> ProgressUpdate:
    claim = Claim(model=model, fences={}, positions={})
    return ProgressUpdate(claim=claim, positions={}, discarded=(discard,))
