"""One handle's connection to a MongoDB database: its deadlines, transactions and place in time.

A handle remembers the latest cluster time that it has *witnessed*: at which it read progress or
wrote anything. Each of its later reads says `afterClusterTime` with that time, so that whichever
member answers first waits until a majority has given it what was there at that time; a member that
was deposed without knowing it can never serve data older than the progress that was read before.
The time travels with the request that is sent anyway, so this costs no round trip.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pymongo
from bson.binary import Binary
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from bson.timestamp import Timestamp
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from slackwater.errors import ConfigurationError
from slackwater.read_models.mongodb_errors import translated

Session = AsyncClientSession
Stored = dict[str, Any]
"""A document as MongoDB keeps it."""

_MAJORITY = ReadConcern("majority")
_SNAPSHOT = ReadConcern("snapshot")
_DURABLE = WriteConcern("majority", j=True)


class _PlainInt(TypeDecoder):
    """A 64-bit integer is an int like any other, not the driver's own subclass."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        return int(value)


_CODEC: CodecOptions[Stored] = CodecOptions(type_registry=TypeRegistry([_PlainInt()]))


class MongodbDatabase:
    """Writes are acknowledged by a majority's journals; reads show what a majority has.

    Args:
        url: `mongodb://` or `mongodb+srv://`; the limits below win over those in the URL.
        name: the database.
        timeout_ms: for each operation with all its retries, and for each transaction as a whole.
        server_selection_timeout_ms: how long to look for a primary; a failover should fit in.
        pool_size_max: connections to each server; who finds them taken waits for its turn.

    Raises:
        ConfigurationError: the URL or the name cannot be used.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        timeout_ms: int,
        server_selection_timeout_ms: int,
        pool_size_max: int,
    ) -> None:
        self._timeout_s = timeout_ms / 1000
        self._witnessed: Timestamp | None = None
        try:
            self._client: AsyncMongoClient[Stored] = AsyncMongoClient(
                url,
                appname="slackwater",
                timeoutMS=timeout_ms,
                connectTimeoutMS=server_selection_timeout_ms,
                serverSelectionTimeoutMS=server_selection_timeout_ms,
                maxPoolSize=pool_size_max,
            )
            self._database: AsyncDatabase[Stored] = self._client.get_database(
                name, _CODEC, ReadPreference.PRIMARY, _DURABLE, _MAJORITY
            )
        except (PyMongoError, ValueError) as error:
            raise ConfigurationError(
                f"MongoDB cannot be reached like this: {error}; correct its URL"
            ) from error

    @property
    def database(self) -> AsyncDatabase[Stored]:
        return self._database

    def collection(self, name: str) -> AsyncCollection[Stored]:
        """Return a collection to write to, and to read what a majority has."""
        return self._database[name]

    def snapshot(self, name: str) -> AsyncCollection[Stored]:
        """Return a collection of which each read sees one point in time.

        Without it a row that moves in an index while it is scanned can be missed or met twice.
        """
        return self._database.get_collection(name, read_concern=_SNAPSHOT)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Open a session that reads at or after everything that was witnessed before."""
        with translated():
            async with self._client.start_session(causal_consistency=True) as session:
                if self._witnessed is not None:
                    session.advance_operation_time(self._witnessed)
                yield session

    def witness(self, time: Timestamp | None) -> None:
        """Let all later reads of this handle be at or after a cluster time."""
        if time is not None and (self._witnessed is None or time > self._witnessed):
            self._witnessed = time

    def lasting_session(self) -> Session:
        """Return a session for many transactions, one after the other; its user ends it."""
        return self._client.start_session(causal_consistency=True)

    async def end_sessions(self, numbers: Sequence[Binary]) -> None:
        """Let the server take back whatever these sessions have not committed."""
        with translated():
            await self._client.admin.command("killSessions", [{"id": each} for each in numbers])

    async def transaction(
        self, work: Callable[[Session], Awaitable[None]], *, within: Session | None = None
    ) -> None:
        """Do the work and commit it as one; the work is repeated when another one was in its way.

        A commit whose outcome is unknown is asked for again, which is harmless: the server knows
        it by its number. When time is up, the outcome may stay unknown.

        Args:
            work: is given the session that each of its operations must name.
            within: a lasting session; one of its own when nothing is given.

        Raises:
            TransientError: it was not committed in time, as far as is known.
        """
        if within is not None:
            with translated():
                await self._transaction(within, work)
            return
        async with self.session() as session:
            await self._transaction(session, work)

    async def _transaction(
        self, session: Session, work: Callable[[Session], Awaitable[None]]
    ) -> None:
        if self._witnessed is not None:
            session.advance_operation_time(self._witnessed)
        with pymongo.timeout(self._timeout_s):
            await session.with_transaction(
                work,
                read_concern=_SNAPSHOT,
                write_concern=_DURABLE,
                read_preference=ReadPreference.PRIMARY,
            )
        self.witness(session.operation_time)

    async def close(self) -> None:
        await self._client.close()
