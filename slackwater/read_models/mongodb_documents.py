"""Documents in MongoDB, written in one transaction with their progress.

The guard of a row is part of its write: the server compares the revision where it changes the row,
so two projectors that overlap after a rebalance cannot overwrite each other. A commit that is
repeated because its outcome stayed unknown finds its revisions gone and changes nothing. Reads show
what a majority has, at or after the moment at which this handle last loaded progress.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pymongo.errors import BulkWriteError, OperationFailure

from slackwater.errors import ConflictError
from slackwater.read_models.documents import (
    Collection,
    Condition,
    DocumentStoreCapability,
    Find,
    Row,
    RowWrite,
    TakenValueError,
    UnknownCollectionError,
)
from slackwater.read_models.mongodb_database import MongodbDatabase, Session
from slackwater.read_models.mongodb_errors import ServerCode, translated
from slackwater.read_models.mongodb_find import (
    collection_name,
    count_filter,
    index_models,
    page_filter,
    page_sort,
)
from slackwater.read_models.mongodb_progress import MongodbProgressStore
from slackwater.read_models.mongodb_rows import MARK, GuardedWrite, guarded_writes, row
from slackwater.read_models.progress import ProgressUpdate

_POOL_SIZE_MAX = 50
_SERVER_SELECTION_TIMEOUT_MS = 5_000
_TIMEOUT_MS = 10_000
_IDS_MAX = 500
"""How many ids one request names, so that none takes long: a server may compare each with all."""


class MongodbDocumentStore:
    """A document store in one database of a replica set; many processes use it at once.

    Args:
        url: `mongodb://` or `mongodb+srv://`, with user, password and TLS as the driver reads them.
        database: where rows and progress are kept.
        timeout_ms: for each operation with all its retries, and for each commit as a whole.
        server_selection_timeout_ms: how long to look for a primary; a failover should fit in.
        pool_size_max: connections to each server.

    Raises:
        ConfigurationError: the URL or the database's name cannot be used.
    """

    capabilities = frozenset(DocumentStoreCapability)

    def __init__(
        self,
        url: str,
        *,
        database: str = "slackwater",
        timeout_ms: int = _TIMEOUT_MS,
        server_selection_timeout_ms: int = _SERVER_SELECTION_TIMEOUT_MS,
        pool_size_max: int = _POOL_SIZE_MAX,
    ) -> None:
        self._database = MongodbDatabase(
            url,
            database,
            timeout_ms=timeout_ms,
            server_selection_timeout_ms=server_selection_timeout_ms,
            pool_size_max=pool_size_max,
        )
        self._progress = MongodbProgressStore(self._database)

    @property
    def progress(self) -> MongodbProgressStore:
        return self._progress

    async def prepare(self, collections: Sequence[Collection]) -> None:
        with translated():
            for collection in collections:
                await self._create(collection_name(collection.name))
                created = self._database.collection(collection_name(collection.name))
                mark = {"$setOnInsert": MARK}
                await created.update_one({"_id": MARK["_id"]}, mark, upsert=True)
                if collection.indexes:
                    await created.create_indexes(index_models(collection))

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Row]:
        found: dict[str, Row] = {}
        async with self._database.session() as session:
            for first in range(0, len(ids), _IDS_MAX):
                found |= await self._get(session, collection, ids[first : first + _IDS_MAX])
        return found

    async def find(self, query: Find) -> list[Row]:
        rows = self._database.snapshot(collection_name(query.collection))
        wanted, order = page_filter(query), page_sort(query)
        if query.limit < 1:  # the server takes 0 for no limit at all
            return []
        async with self._database.session() as session:
            found = rows.find(
                wanted, sort=order, limit=query.limit, batch_size=query.limit, session=session
            )
            return [row(document) for document in await found.to_list()]

    async def count(self, collection: str, where: Sequence[Condition] = ()) -> int:
        rows = self._database.snapshot(collection_name(collection))
        async with self._database.session() as session:
            return await rows.count_documents(count_filter(where), session=session)

    async def require(self, collection: str) -> None:
        """Look for the mark: the server finds every collection empty that does not exist."""
        async with self._database.session() as session:
            await self._get(session, collection, [])

    async def commit(self, rows: Sequence[RowWrite], progress: ProgressUpdate) -> None:
        """Write all rows and the progress, or nothing.

        Raises:
            FencedError: a partition of the progress was claimed by somebody else.
            ConflictError: a row is not at its expected revision.
            TakenValueError: a unique index refuses a row.
            UnstorableDocumentError: a document is too large or cannot be encoded.
            TransientError: the outcome is unknown; load anew and fold again.
        """
        writes = _by_collection(rows)

        async def work(session: Session) -> None:
            # Fences first: a projector that was replaced must stop and not try again.
            await self._progress.advance(session, progress)
            for collection, guarded in writes.items():
                await self._write(session, collection, guarded)

        await self._progress.transaction(progress, work)

    async def drop(self, collections: Sequence[str]) -> None:
        with translated():
            for collection in collections:
                await self._database.collection(collection_name(collection)).drop()

    async def close(self) -> None:
        await self._progress.close()
        await self._database.close()

    async def _get(self, session: Session, collection: str, ids: Sequence[str]) -> dict[str, Row]:
        rows = self._database.snapshot(collection_name(collection))
        wanted = {"_id": {"$in": [MARK["_id"], *ids]}}
        # One more than there can be: the server then ends the cursor with its first answer.
        cursor = rows.find(wanted, session=session, batch_size=len(ids) + 2)
        found = {document["_id"]: document for document in await cursor.to_list()}
        if found.pop(MARK["_id"], None) is None:
            raise UnknownCollectionError(collection)
        return {row_id: row(document) for row_id, document in found.items()}

    async def _create(self, name: str) -> None:
        try:
            await self._database.database.create_collection(name, check_exists=False)
        except OperationFailure as error:
            if error.code != ServerCode.NAMESPACE_EXISTS:
                raise

    async def _write(
        self, session: Session, collection: str, guarded: Sequence[GuardedWrite]
    ) -> None:
        target = self._database.collection(collection_name(collection))
        try:
            written = await target.bulk_write(guarded, session=session)
        except BulkWriteError as error:
            raise _refusal(collection, error) from error
        done = written.inserted_count + written.upserted_count + written.matched_count
        if done < len(guarded):
            raise ConflictError(
                f"some rows of {collection} are not at their expected revision; "
                "load them anew and fold again"
            )


def _by_collection(rows: Sequence[RowWrite]) -> Mapping[str, list[GuardedWrite]]:
    writes: defaultdict[str, list[RowWrite]] = defaultdict(list)
    for write in rows:
        writes[write.collection].append(write)
    return {collection: guarded_writes(each) for collection, each in writes.items()}


def _refusal(collection: str, error: BulkWriteError) -> Exception:
    [refused, *_] = error.details["writeErrors"]
    if refused.get("code") != ServerCode.DUPLICATE_KEY:
        return error
    if list(refused["keyPattern"]) == ["_id"]:
        return ConflictError(
            f"a row of {collection} exists already: {refused['errmsg']}; "
            "load it anew and fold again"
        )
    return TakenValueError(
        f"a row of {collection} repeats a unique value: {refused['errmsg']}; mend its source"
    )
