"""MongoDB: whether it is replicated, keeps what it acknowledges, and lets us make collections.

The two looks that write use collections of their own (`doctor_…`), and drop them again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pymongo
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.ids import new_id
from slackwater.installation import Installation
from slackwater.read_models.mongodb_errors import translated

_TIMEOUT_MS = 5_000
_DROP_TIMEOUT_S = 3.0
_MAJOR_VERSION_MIN = 5
_LIFETIME_S_MAX = 30
_LIFETIME = "transactionLifetimeLimitSeconds"
_DURABLE = WriteConcern("majority", j=True)
_NEWER_SERVER = "run MongoDB 5 or newer"
_REPLICATE = "start it as a replica set (of one member, if need be) and initiate it"
_THREE_MEMBERS = "run three members in production"
_GRANT = "grant the user readWrite on the database"
_LOWER = f"db.adminCommand({{setParameter: 1, {_LIFETIME}: 10}}), and in the server's settings"
_ASK = f"have an administrator see that it is {_LIFETIME_S_MAX} s at most"
_SEE_MEMBERS = "see that a majority of the members runs, with journals"


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    """Connect to the primary."""
    with translated():
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            installation.settings.mongodb_url,
            appname="slackwater doctor",
            timeoutMS=_TIMEOUT_MS,
            connectTimeoutMS=_TIMEOUT_MS,
            serverSelectionTimeoutMS=_TIMEOUT_MS,
        )
    try:
        hello = await client.admin.command("hello")
        yield _Server(client, hello, client[installation.settings.namespace]).checks()
    finally:
        await client.close()


class _Server:
    """A server that has said hello."""

    def __init__(
        self,
        client: AsyncMongoClient[dict[str, Any]],
        hello: dict[str, Any],
        database: AsyncDatabase[dict[str, Any]],
    ) -> None:
        self._client = client
        self._hello = hello
        self._database = database

    def checks(self) -> list[Check]:
        return [
            Check("version", self._see_version, _NEWER_SERVER),
            Check("replica set", self._see_replica_set, _REPLICATE),
            Check("rights", self._see_rights, _GRANT),
            Check("durable write", self._see_durable_write, _SEE_MEMBERS),
            Check("transaction lifetime", self._see_transaction_lifetime, _LOWER),
        ]

    async def _see_version(self) -> Seen:
        found = str((await self._client.admin.command("buildInfo"))["version"])
        major = int(found.partition(".")[0])
        return ok(found) if major >= _MAJOR_VERSION_MIN else broken(found, _NEWER_SERVER)

    async def _see_replica_set(self) -> Seen:
        if self._hello.get("msg") == "isdbgrid":
            return ok("a sharded cluster")
        if "setName" not in self._hello:
            return broken("a server that stands alone, without transactions", _REPLICATE)
        members = len(self._hello.get("hosts", ()))
        found = f"{self._hello['setName']}, {members} member{'s' if members != 1 else ''}"
        return ok(found) if members > 1 else caution(found, _THREE_MEMBERS)

    async def _see_rights(self) -> Seen:
        async with self._own_collection() as name:
            with translated():
                await self._database.create_collection(name)
        return ok(f"may create and drop collections in {self._database.name}")

    async def _see_durable_write(self) -> Seen:
        async with self._own_collection() as name:
            collection = self._database.get_collection(
                name, write_concern=_DURABLE, read_concern=ReadConcern("majority")
            )
            with translated():
                await collection.insert_one({"_id": name})
                found = await collection.find_one({"_id": name})
        if found is None:
            return broken("acknowledged, and not to be read afterwards", _SEE_MEMBERS)
        return ok("acknowledged by the journals of a majority, and read back")

    async def _see_transaction_lifetime(self) -> Seen:
        try:
            answer = await self._client.admin.command({"getParameter": 1, _LIFETIME: 1})
        except OperationFailure:  # needs rights on the cluster, which a user seldom has
            answer = {}
        if _LIFETIME not in answer:
            return caution(f"{_LIFETIME} cannot be read here", _ASK)
        found_s = float(answer[_LIFETIME])
        found = f"{found_s:g} s"
        if found_s > _LIFETIME_S_MAX:
            return caution(f"{found}: so long a dead projector's transaction bars others", _LOWER)
        return ok(found)

    @asynccontextmanager
    async def _own_collection(self) -> AsyncIterator[str]:
        name = f"doctor_{new_id()}"
        try:
            yield name
        finally:
            with pymongo.timeout(_DROP_TIMEOUT_S):
                await self._database.drop_collection(name)
