"""Stamps of search indexes in Elasticsearch: what tells a copy that has been left behind.

A node that is cut off from the others may go on answering searches for a while, from a copy that
lacks what the others are given, and nothing in its replies shows that. So each index holds a mark
beside its documents, and whoever refreshes rewrites that mark first:

    write, await acknowledgement ─► rewrite the mark ─► refresh ─► save progress with the stamp

A copy gets the mark only as one that is in sync: it has then acknowledged every write that was
acknowledged before. The stamp is the primary term and the sequence number that the mark got, which
no primary that was deposed can give. A search that shows the mark at a stamp, or at a later one,
therefore shows all that was acknowledged before that stamp.

The mark is rewritten only as it was seen (`if_seq_no`), so the server confirms what it had before.
If that is older than a stamp that somebody was given, the index has lost what it had acknowledged.
The mark says so from then on: an index from a backup may count in a later term.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from elasticsearch import AsyncElasticsearch, ConflictError

from slackwater.read_models.elasticsearch_errors import SearchUnavailableError, told_by_kind
from slackwater.read_models.search import LostWritesError, PartialResultError

MARK_ID: Final = "\ue000stamp"
"""No row has it: ids are made of names, keys and numbers, and this character is of private use."""

IS_MARK: Final[dict[str, Any]] = {"ids": {"values": [MARK_ID]}}
MARK_SEARCH: Final[dict[str, Any]] = {
    "query": IS_MARK,
    "size": 1,
    "source": ["document"],
    "seq_no_primary_term": True,
}
"""Finds the mark as one copy shows it."""

_HAS_LOST = "has_lost"
_TRIES_MAX = 10


class Stamps:
    """Gives stamps; several processes may give them for the same index."""

    def __init__(self, client: AsyncElasticsearch, *, timeout: str) -> None:
        self._client = client
        self._timeout = timeout
        self._known: dict[str, str] = {}
        self._marks: dict[str, _Mark] = {}

    async def give(self, index: str, alias: str) -> str:
        """Return a new stamp of an index behind an alias, for all that was acknowledged before.

        Raises:
            LostWritesError: the index does not have what it had at a stamp that is known.
            SearchUnavailableError: the mark could not be written; try again.
        """
        with told_by_kind(index):
            mark = await self._rewritten(index, alias)
        if mark.has_lost:
            raise LostWritesError(index)
        self._known[index] = mark.stamp
        return mark.stamp

    def know(self, index: str, stamp: str | None) -> None:
        """Remember a stamp that was given before, by whatever process."""
        self._known[index] = max(stamp or "", self._known.get(index, ""))

    def forget(self, index: str) -> None:
        """Know nothing of an index that was dropped."""
        self._known.pop(index, None)
        self._marks.pop(index, None)

    async def _rewritten(self, index: str, alias: str) -> _Mark:
        for _ in range(_TRIES_MAX):
            before = self._marks.pop(index, None) or await self._stored(alias)
            has_lost = before.has_lost or before.stamp < self._known.get(index, "")
            try:
                self._marks[index] = await self._write(alias, before, has_lost=has_lost)
            except ConflictError:
                continue  # somebody else was faster, or a copy that was read lags behind
            return self._marks[index]
        raise SearchUnavailableError(
            f"search index {index} is refreshed by others without a pause; try again"
        )

    async def _stored(self, alias: str) -> _Mark:
        reply = await self._client.mget(
            index=alias, ids=[MARK_ID], realtime=True, source_includes=["document"]
        )
        [found] = reply["docs"]
        return _mark(found) if found.get("found") else _NO_MARK

    async def _write(self, alias: str, before: _Mark, *, has_lost: bool) -> _Mark:
        as_seen: dict[str, Any] = {"op_type": "create"}
        if before != _NO_MARK:
            as_seen = {"if_primary_term": before.term, "if_seq_no": before.number}
        reply = await self._client.index(
            index=alias,
            id=MARK_ID,
            document={"id": MARK_ID, "kind": MARK_ID, "document": {_HAS_LOST: has_lost}},
            require_alias=True,
            refresh=False,
            wait_for_active_shards=1,
            timeout=self._timeout,
            **as_seen,
        )
        return _Mark(reply["_primary_term"], reply["_seq_no"], has_lost)


class _Mark(NamedTuple):
    term: int
    number: int
    has_lost: bool

    @property
    def stamp(self) -> str:
        """Term and number, so that the greater text is the later one; empty of no mark."""
        return f"{self.term:010d}.{self.number:019d}" if self != _NO_MARK else ""


_NO_MARK = _Mark(0, -1, has_lost=False)


def require_stamp(index: str, wanted: str, reply: Mapping[str, Any]) -> None:
    """Refuse a copy whose mark (`MARK_SEARCH`) is older than a stamp, or says what was lost.

    Raises:
        PartialResultError: it lacks what was acknowledged before the stamp.
    """
    marks = [_mark(hit) for hit in reply["hits"]["hits"]]
    shown = max((mark.stamp for mark in marks if not mark.has_lost), default="")
    if shown < wanted:
        raise PartialResultError(index, "what answers lacks what was acknowledged")


def _mark(stored: Mapping[str, Any]) -> _Mark:
    return _Mark(
        stored["_primary_term"], stored["_seq_no"], stored["_source"]["document"][_HAS_LOST]
    )
