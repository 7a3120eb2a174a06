"""A service's private database as a port: synchronous work on SQLAlchemy Core, run on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """One database; several processes use it at once."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own; it is durable when this returns.

        `work` may run more than once (if so, nothing of an earlier run remains), must not keep the
        connection, and rolls everything back by raising.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a fresh snapshot that contains every commit that returned before."""
        ...

    async def close(self) -> None: ...
