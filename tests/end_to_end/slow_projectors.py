"""Runs the whole loop with projectors that take 300 ms for every commit; a test double."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from slackwater.command_line.main import main
from slackwater.read_models.documents import RowWrite
from slackwater.read_models.progress import ProgressUpdate
from slackwater.read_models.target import DocumentTarget, SearchTarget

DELAY_S = 0.3


def _slow_down(target: type[DocumentTarget | SearchTarget]) -> None:
    commit = target.commit

    async def slow_commit(
        self: DocumentTarget | SearchTarget, rows: Sequence[RowWrite], progress: ProgressUpdate
    ) -> None:
        await asyncio.sleep(DELAY_S)
        await commit(self, rows, progress)  # type: ignore[arg-type]

    target.commit = slow_commit  # type: ignore[method-assign]


if __name__ == "__main__":
    _slow_down(DocumentTarget)
    _slow_down(SearchTarget)
    main()
