"""Following all events of a source: first what there is, then what comes, without end.

    read a batch behind the checkpoint ──► yield it ──► was it full? ── yes ──► read on
              ▲                                             │ no
              └───────── the bell has rung, or 100 ms ◄─────┘

Whoever keeps the checkpoint of each event with its effects has every event once, whatever dies;
whoever keeps it after the effects has the last ones again. Where a new timeline has begun all
events come again from the first, with checkpoints in that timeline: their ids tell them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from slackwater.database.port import Session
from slackwater.doorbell import Doorbell
from slackwater.event_store.event_store import BEGINNING, Checkpoint, EventStore, Numbered
from slackwater.outbox.relay import numbers_bell

_BATCH_MAX = 500
_LOOK_INTERVAL_MS = 100


async def subscribe(
    streams: EventStore,
    database: Session,
    doorbell: Doorbell,
    *,
    after: Checkpoint = BEGINNING,
) -> AsyncGenerator[Numbered, None]:
    """Yield every event behind a checkpoint, then each new one once a relay has published it.

    At most one batch is in memory. Close the iterator to stop.

    Raises:
        LostEventsError: the source has not come as far as the checkpoint says.
        PoisonousEventError: the next event cannot be decoded; all before it were yielded.
        TransientError: the database cannot be used now; subscribe again behind the last checkpoint.
    """
    listener = doorbell.listen(numbers_bell(streams.source))
    try:
        while True:
            batch = await _read_batch(streams, database, after)
            for numbered in batch:
                yield numbered
                after = numbered.checkpoint
            if len(batch) < _BATCH_MAX:
                await listener.wait(timeout_ms=_LOOK_INTERVAL_MS)
    finally:
        listener.close()


async def _read_batch(streams: EventStore, database: Session, after: Checkpoint) -> list[Numbered]:
    return await database.read(
        lambda connection: streams.read_all(connection, after=after, limit=_BATCH_MAX)
    )
