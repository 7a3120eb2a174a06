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
from slackwater.cancellation import end_if_cancelled
from slackwater.errors import FencedError, TransientError
from slackwater.logs import logger
from slackwater.read_models.progress import (
    ProgressStore,
    ProgressUpdate,
    ReadModelState,
    furthest,
)

_SOON_S = 0.02
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 5.0

_log = logger("projector")

Saved = Callable[[], Awaitable[object]]


async def nothing() -> None:
    """What is done after progress was saved, if nobody asks for more."""


class Showing:
    """Of one version of a read model, by one projector."""

    def __init__(
        self, show: Callable[[], Awaitable[str]], progress: ProgressStore, saved: Saved = nothing
    ) -> None:
        """Wait for what is added.

        Args:
            show: returns a stamp once all that was written before its call can be seen.
            progress: where progress is saved then.
            saved: is awaited each time that progress was saved.
        """
        self._show = show
        self._progress = progress
        self._saved = saved
        self._pending: ProgressUpdate | None = None
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing is pending: whatever was written can be seen, and progress says so."""
        return self._pending is None and self._task is None

    def add(self, update: ProgressUpdate) -> None:
        """Save this progress once all that is written by now is shown."""
        self._pending = update if self._pending is None else _merged(self._pending, update)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def raise_failure(self) -> None:
        """Raise what made showing end, once.

        Raises:
            FencedError: somebody else has claimed a partition.
            Exception: whatever no retry helps against; the read model was halted with it.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def settled(self) -> None:
        """Wait until nothing is under way; raise what made showing end."""
        if self._task is not None:
            await asyncio.wait([self._task])
        self.raise_failure()

    async def abandon(self) -> None:
        """Give up what is pending; it will be folded again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._pending = self._failure = None

    async def _run(self) -> None:
        try:
            await self._show_pending()
        except FencedError as error:
            self._failure = error
        except Exception as error:  # of whatever kind: nobody else would hear of it
            self._failure = error
            await self._halt(error)
        finally:
            self._task = None

    async def _show_pending(self) -> None:
        delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
        while self._pending is not None:
            try:
                await self._show_and_save()
                delays_s = backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S)
            except TransientError as error:
                delay_s = next(delays_s)
                _log.warning("progress waits", reason=str(error), in_s=delay_s)
                await asyncio.sleep(delay_s)
            end_if_cancelled()

    async def _show_and_save(self) -> None:
        update, self._pending = self._pending, None
        assert update is not None
        try:
            stamp = await self._show_soon(update)
            await self._progress.save(replace(update, stamp=stamp))
            await self._saved()
        except Exception:
            # Its events may have been counted: better none than twice.
            again = replace(update, events_applied=0)
            self._pending = again if self._pending is None else _merged(again, self._pending)
            raise

    async def _show_soon(self, update: ProgressUpdate) -> str:
        """Show what is written; say beside progress that it is waited for, if it takes a while."""
        showing = asyncio.ensure_future(self._show())
        try:
            done, _ = await asyncio.wait({showing}, timeout=_SOON_S)
            if not done:
                with suppress(TransientError):  # only a note
                    await self._progress.note_written(update)
            return await showing
        finally:
            showing.cancel()

    async def _halt(self, error: Exception) -> None:
        """Say at once what the next commit will raise; there may be none for long."""
        assert self._pending is not None
        model, reason = self._pending.claim.model, str(error) or repr(error)
        _log.error("what is written cannot be shown", read_model=model.read_model, reason=reason)
        with suppress(TransientError):
            await self._progress.set_state(model, ReadModelState.HALTED, reason)


def _merged(older: ProgressUpdate, newer: ProgressUpdate) -> ProgressUpdate:
    return replace(
        newer,
        positions=furthest(older.positions, newer.positions),
        moves_from={**newer.moves_from, **older.moves_from},
        timelines={**older.timelines, **newer.timelines},
        events_applied=older.events_applied + newer.events_applied,
    )
