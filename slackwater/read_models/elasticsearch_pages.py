"""Pages of a search: each goes on in the snapshot of the one before, as long as there is one.

In a new snapshot all scores may be others, because they weigh how rare a word is. So the next page
is looked for behind the last hit wherever that stands by now, not behind its old score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from elastic_transport import ApiError
from elasticsearch import AsyncElasticsearch

from slackwater.read_models.elasticsearch_cursor import SnapshotCursor
from slackwater.read_models.elasticsearch_errors import require_whole
from slackwater.read_models.elasticsearch_snapshots import Snapshots
from slackwater.read_models.elasticsearch_stamps import MARK_SEARCH, require_stamp


class Page(NamedTuple):
    """A whole reply, and the snapshot in which the next page can be read.

    `is_kept` says that the snapshot is that of the page before.
    """

    reply: Mapping[str, Any]
    snapshot: str | None
    is_kept: bool = False


class Pages:
    """Reads pages, and keeps a snapshot open only where another page may follow."""

    def __init__(self, client: AsyncElasticsearch, snapshots: Snapshots, *, timeout: str) -> None:
        self._client = client
        self._snapshots = snapshots
        self._timeout = timeout

    async def read(
        self,
        index: str,
        alias: str,
        body: Mapping[str, Any],
        after: SnapshotCursor | None,
        *,
        anew: bool = False,
        stamp: str | None = None,
    ) -> Page:
        """Return the page behind `after`, from its snapshot unless that is gone or `anew` is asked.

        A new snapshot shows `stamp`, where one is given.

        Raises:
            PartialResultError: not all of the index was searched, or not its newest copy.
        """
        if after is not None and after.snapshot is not None and not anew:
            try:
                reply = await self._search(index, body, after, after.snapshot)
                return Page(reply, await self._kept(reply, body), is_kept=True)
            except ApiError:
                pass  # its time is up or its node is gone: go on in a new one
        return await self._read_anew(index, alias, body, after, stamp)

    async def _read_anew(
        self,
        index: str,
        alias: str,
        body: Mapping[str, Any],
        after: SnapshotCursor | None,
        stamp: str | None,
    ) -> Page:
        snapshot = await self._snapshots.open(alias)
        kept: str | None = None
        try:
            reply, _ = await asyncio.gather(
                self._hits(index, body, after, snapshot), self._require(index, stamp, snapshot)
            )
            kept = await self._kept(reply, body)
        finally:
            if kept is None:
                await self._snapshots.close(snapshot)
        return Page(reply, kept)

    async def _hits(
        self, index: str, body: Mapping[str, Any], after: SnapshotCursor | None, snapshot: str
    ) -> Mapping[str, Any]:
        place = None if after is None else await self._place_now(index, body, after, snapshot)
        return await self._search(index, body, place, snapshot)

    async def _require(self, index: str, stamp: str | None, snapshot: str) -> None:
        """See that a snapshot shows a stamp, if one is given."""
        if stamp is not None:
            require_stamp(index, stamp, await self._search(index, MARK_SEARCH, None, snapshot))

    async def _place_now(
        self, index: str, body: Mapping[str, Any], after: SnapshotCursor, snapshot: str
    ) -> SnapshotCursor:
        """Return where the hit stands by now; where it stood, if it is no hit any more."""
        the_hit = {"bool": {"must": body["query"], "filter": {"ids": {"values": [after.id]}}}}
        only_it = {"query": the_hit, "sort": body["sort"], "size": 1, "source": False}
        reply = await self._search(index, only_it, None, snapshot)
        for hit in reply["hits"]["hits"]:
            return msgspec.structs.replace(after, score=hit["sort"][0])
        return after

    async def _search(
        self, index: str, body: Mapping[str, Any], after: SnapshotCursor | None, snapshot: str
    ) -> Mapping[str, Any]:
        reply = await self._client.search(
            **body,
            pit={"id": snapshot, "keep_alive": self._snapshots.keep_alive},
            search_after=None if after is None else [after.score, after.id],
            allow_partial_search_results=False,
            timeout=self._timeout,
        )
        whole: Mapping[str, Any] = reply.body
        require_whole(index, whole)
        return whole

    async def _kept(self, reply: Mapping[str, Any], body: Mapping[str, Any]) -> str | None:
        """Keep the snapshot if the page is full: only then may another one follow."""
        if not 0 < len(reply["hits"]["hits"]) == body["size"]:
            return None
        snapshot = str(reply["pit_id"])
        await self._snapshots.keep(snapshot)
        return snapshot
