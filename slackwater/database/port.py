"""A service's private database as a port: synchronous work on SQLAlchemy Core, run on threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from slackwater.capability import Capability
from slackwater.errors import SlackwaterError, TransientError

T = TypeVar("T")


class DatabaseCapability(Capability):
    """What a database can do beyond what every one must."""

    CONCURRENT_WRITERS = (
        "CONCURRENT_WRITERS",
        "a service writes one transaction after another, and a long one holds up all others",
    )
    """Transactions that write are open at the same time."""
    SEVERAL_MACHINES = (
        "SEVERAL_MACHINES",
        "all processes of a service, and its relays, run where the file is",
    )
    """Processes on any machine use the same database."""


class Session(Protocol):
    """Whoever can work on a database."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own; it is durable when this returns.

        Transactions are as good as one after another for work that changes what it has read, or
        locks it (`with_for_update`), or inserts under a unique key what it has found missing.
        `work` may run more than once (if so, nothing of an earlier run remains), must not keep the
        connection, and rolls everything back by raising.

        Raises:
            UnknownOutcomeError: it was lost whether the work was committed.
            TransientError: nothing has happened and it is worth another try.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one fresh snapshot that contains every commit that returned before."""
        ...


class Database(Session, Protocol):
    """One database; several processes use it at once."""

    @property
    def capabilities(self) -> frozenset[DatabaseCapability]: ...

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run `work` of a single statement that reads, which is a fresh snapshot by itself.

        The same as `read`, and cheaper where a transaction has to be begun and ended.
        """
        ...

    def lease(self, role: str) -> AbstractAsyncContextManager[Session]:
        """Wait until nobody else holds `role`, and hold it until the end of the context.

        The session is the lease's own: where connections can be lost, it keeps to a single one and
        never connects anew. A holder that has died or lost its connection is succeeded within
        seconds; it may not know that yet, so the role needs a fence, too (an epoch).

        Raises:
            LostLeaseError: from the session, for good, once the lease may be somebody else's.
            TransientError: the database cannot be asked now.
        """
        ...

    async def close(self) -> None: ...


class LostLeaseError(TransientError):
    """The role may be another's by now; leave what was begun and wait for the lease anew."""


class ContendedError(TransientError):
    """Others were in the way at every try; nothing has happened, try again later."""


class DatabaseError(TransientError):
    """The database cannot be used now; see that it runs and answers, and try again."""


class UnstorableTextError(SlackwaterError):
    """A text holds what this database cannot keep or compare; send it without NUL characters."""

    code = "BAD_USER_INPUT"
