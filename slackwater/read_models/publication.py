"""Shows what was written, and only then saves the progress that covers it, while folding goes on.

    commit ─► written ─► pending ─┬─► show (a refresh that begins after the writes) ─► save progress
    commit ─► written ─► pending ─┤         │ failed for now: again, ever more slowly
    commit ─► written ─► pending ─┘         └─ what was added meanwhile waits for the next

If a batch waited for its refresh instead, an event that had just missed one batch would wait for
two refreshes. Pending progress is merged, so there is never more of it than partitions. What is
pending when a process dies is folded again, and versions make that harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec.structs import replace

from slackwater.backoff import backoff
from slackwater.errors import SlackwaterError, TransientError
from slackwater.logs import logger
from slackwater.read_models.progress import ProgressStore, ProgressUpdate

_SOON_S = 0.02
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 5.0

_log = logger("projector")


class Publication:
    """Of one version of a read model, by one projector."""

    def __init__(self, show: Callable[[], Awaitable[None]], progress: ProgressStore) -> None:
        """`show` returns once all that was written before its call can be seen."""
        self._show = show
        self._progress = progress
        self._pending: ProgressUpdate | None = None
        self._failure: SlackwaterError | None = None
        self._publishing: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return self._publishing is None

    def add(self, update: ProgressUpdate) -> None:
        """Save this progress once all that is written by now is shown."""
        self._pending = update if self._pending is None else _merged(self._pending, update)
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish())

    def raise_failure(self) -> None:
        """Raise what made publishing end, once.

        Raises:
            FencedError, StructuralError: as `ProgressStore.save` does.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def settled(self) -> None:
        """Wait until nothing is pending; raise what made publishing end."""
        if self._publishing is not None:
            await asyncio.wait([self._publishing])
        self.raise_failure()

    async def abandon(self) -> None:
        """Give up what is pending; it will be folded again."""
        publishing, self._pending, self._failure = self._publishing, None, None
        if publishing is not None:
            publishing.cancel()
            await asyncio.wait([publishing])
        self._failure = None

    async def _publish(self) -> None:
        try:
            for delay_s in backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S):
                try:
                    return await self._publish_pending()
                except TransientError as error:
                    _log.warning("progress waits", reason=str(error), in_s=delay_s)
                    await asyncio.sleep(delay_s)
        except SlackwaterError as error:
            self._failure = error
        finally:
            self._publishing = None

    async def _publish_pending(self) -> None:
        while (update := self._pending) is not None:
            self._pending = None
            try:
                await self._show_soon(update)
                await self._progress.save(update)
            except TransientError:
                self._pending = update if self._pending is None else _merged(update, self._pending)
                raise

    async def _show_soon(self, update: ProgressUpdate) -> None:
        """Show what is written; say beside progress that it is waited for, if it takes a while."""
        showing = asyncio.ensure_future(self._show())
        try:
            done, _ = await asyncio.wait({showing}, timeout=_SOON_S)
            if not done:
                with suppress(TransientError):  # only a note
                    await self._progress.note_written(update)
            await showing
        finally:
            showing.cancel()


def _merged(older: ProgressUpdate, newer: ProgressUpdate) -> ProgressUpdate:
    return replace(
        newer,
        positions={**older.positions, **newer.positions},
        events_applied=older.events_applied + newer.events_applied,
    )
