"""Stamps of search indexes in Elasticsearch: what tells a copy that has been left behind.

A node that is cut off from the others may go on answering searches for a while, from a copy that
lacks what the others are given, and nothing in its replies shows that. So each index holds a mark
beside its documents, and whoever refreshes rewrites that mark first:

    write, await acknowledgement ─► rewrite the mark ─► refresh ─► save progress with the stamp

A copy in sync that gets the mark has acknowledged every write that was acknowledged before; one
that is being recovered gets it, too, and answers nobody before it has all the rest. The stamp is
the primary term and the sequence number that the mark got, which no primary that was deposed can
give. A search that shows the mark at a stamp, or at a later one, therefore shows all that was
acknowledged before that stamp.

The mark is rewritten only as it was seen (`if_seq_no`), so the server confirms what it had before.
If that is older than a stamp that was given or saved, the index has lost what it had acknowledged.
The mark says so from then on: an index from a backup may count in a later term.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from elasticsearch import AsyncElasticsearch, ConflictError

from slackwater.read_models.elasticsearch_errors import (
    SearchUnavailableError,
    error_of,
    failure,
    told_by_kind,
)
from slackwater.read_models.search import (
    LostWritesError,
    PartialResultError,
    SavedStamp,
    no_stamp,
)

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
_UNAVAILABLE = 503


class Stamps:
    """Gives stamps; several processes may give them for the same index."""

    def __init__(self, client: AsyncElasticsearch, *, timeout: str) -> None:
        self._client = client
        self._timeout = timeout
        self._known: dict[str, str] = {}
        self._marks: dict[str, _Mark] = {}
        self._shared: set[str] = set()

    async def give(self, index: str, alias: str, saved: SavedStamp = no_stamp) -> str:
        """Return a new stamp of an index behind an alias, for all that was acknowledged before.

        Args:
            index: the name to speak of.
            alias: what the index is behind.
            saved: returns the greatest stamp that was saved; is asked before a mark is rewritten
                that may be somebody else's.

        Raises:
            LostWritesError: the index does not have what it had at a stamp before.
            SearchUnavailableError: the mark could not be written; try again.
        """
        with told_by_kind(index):
            mark = await self._rewritten(index, alias, saved)
        if mark.has_lost:
            raise LostWritesError(index)
        return mark.stamp

    def resume(self, index: str, stamp: str) -> None:
        """Know nothing but a stamp that was saved, and look at the mark anew."""
        self._known[index] = stamp
        self._marks.pop(index, None)

    def forget(self, index: str) -> None:
        """Know nothing of an index that was dropped."""
        self._known.pop(index, None)
        self._marks.pop(index, None)

    async def _rewritten(self, index: str, alias: str, saved: SavedStamp) -> _Mark:
        for _ in range(_TRIES_MAX):
            before = await self._mark_before(index, alias, saved)
            has_lost = before.has_lost or before.stamp < self._known.get(index, "")
            try:
                mark = await self._write(alias, before, has_lost=has_lost)
            except ConflictError:  # somebody else was faster, or a copy that was read lags behind
                self._shared.add(index)
                continue
            self._know(index, mark.stamp)
            self._marks[index] = mark
            return mark
        raise SearchUnavailableError(
            f"search index {index} is refreshed by others without a pause; try again"
        )

    async def _mark_before(self, index: str, alias: str, saved: SavedStamp) -> _Mark:
        """Return the mark that we wrote last, or the stored one where others write it, too.

        They may have been given stamps that we do not know of, so the saved one counts, too. It may
        be later than the mark that was read; then that mark is not written, as it has changed.
        """
        ours = self._marks.get(index)
        if ours is not None and index not in self._shared:
            return ours
        stored = await self._stored(index, alias)
        self._know(index, await saved() or "")
        if stored == ours:
            self._shared.discard(index)
        return stored

    def _know(self, index: str, stamp: str) -> None:
        self._known[index] = max(stamp, self._known.get(index, ""))

    async def _stored(self, index: str, alias: str) -> _Mark:
        reply = await self._client.mget(
            index=alias, ids=[MARK_ID], realtime=True, source_includes=["document"]
        )
        [found] = reply["docs"]
        if "error" in found:
            raise error_of(index, failure(_UNAVAILABLE, found["error"]))
        return _mark(found) if found["found"] else _NO_MARK

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
    hits = reply["hits"]["hits"]
    shown = _mark(hits[0]) if hits else _NO_MARK
    if shown.has_lost or shown.stamp < wanted:
        raise PartialResultError(index, "what answers lacks what was acknowledged")


def _mark(stored: Mapping[str, Any]) -> _Mark:
    return _Mark(
        stored["_primary_term"], stored["_seq_no"], stored["_source"]["document"][_HAS_LOST]
    )
