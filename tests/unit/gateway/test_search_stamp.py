"""A search must show the stamp that was saved with the progress that its bound is told from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from contracts.read_models import ORDER_SEARCH
from gateway.errors import ReadModelUnavailable
from gateway.freshness.served import RequestFreshness
from gateway.readers import Readers
from slackwater.clock import SystemClock
from slackwater.freshness.board import FreshnessBoard
from slackwater.read_models.documents import DocumentStore
from slackwater.read_models.progress import ModelVersion, ReadModelProgress, ReadModelState
from slackwater.read_models.search import (
    PartialResultError,
    SearchIndex,
    SearchRequest,
    SearchResult,
)


class _Copy:
    """One copy of the index, which shows a stamp and nothing later."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    async def search(self, request: SearchRequest) -> SearchResult:
        self._require(request.index, request.stamp)
        return SearchResult(hits=[], total=7)

    async def count(self, index: str, stamp: str | None = None) -> int:
        self._require(index, stamp)
        return 7

    def _require(self, index: str, stamp: str | None) -> None:
        assert index.endswith("_v2")
        if stamp is not None and self._shown < stamp:
            raise PartialResultError(index, "of the test")


def _readers(saved: str | None, shown: str) -> Readers:
    board = FreshnessBoard([ORDER_SEARCH], SystemClock())
    progress = ReadModelProgress(
        model=ModelVersion(ORDER_SEARCH.name, 2),
        active=True,
        state=ReadModelState.RUNNING,
        reason=None,
        positions={},
        events_applied=0,
        stamp=saved,
    )
    board.on_progress([progress])
    pinned = SimpleNamespace(reading=board.reading, requires_any=False)
    return Readers(
        cast("DocumentStore", None),
        cast("SearchIndex", _Copy(shown)),
        cast("RequestFreshness", pinned),
    )


@pytest.mark.parametrize(("saved", "shown"), [(None, ""), ("b", "b"), ("b", "c")])
async def test_a_copy_that_shows_the_stamp_is_searched(saved: str | None, shown: str) -> None:
    readers = _readers(saved, shown)
    assert (await readers.search("coffee", [], 10, None)).total == 7
    assert await readers.count_found() == 7


async def test_a_copy_that_is_behind_the_stamp_is_no_answer() -> None:
    readers = _readers("b", "a")
    for asking in (readers.search("coffee", [], 10, None), readers.count_found()):
        with pytest.raises(ReadModelUnavailable, match="order_search cannot be read now"):
            await asking
