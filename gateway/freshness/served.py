"""What resolvers tell and ask about freshness while one operation is executed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

from strawberry.types.info import Info

from slackwater.freshness.bound import Reading


class ServedFrom(StrEnum):
    """Who has answered a field."""

    READ_MODEL = "READ_MODEL"
    SOURCE = "SOURCE"
    CACHE = "CACHE"


class RequestFreshness(Protocol):
    """The freshness of one operation: readings pinned before data is read, and what was served."""

    def reading(self, read_model: str) -> Reading:
        """Return the read model's freshness as pinned for this operation (W first, data second).

        Call it before data is read. It says the same throughout an operation; between the events of
        a subscription it is renewed, and what was read before it must not be shown any more.
        """
        ...

    async def settled_reading(
        self,
        info: Info[Any, Any],
        *,
        read_model: str,
        sources: tuple[str, ...],
        key: str | None = None,
    ) -> Reading:
        """Return the reading of a read model that this field was not declared to come from.

        Await it before that read model's data is read, ask `asks_source` again, which may have
        changed by it, and call `served` afterwards. It waits as
        the operation waited for what it declares: for tokens, and for demands with WAIT. With the
        partition key of all that is read, it tells of that key; hand it on to `served`.

        Raises:
            StaleRead: the read model does not reflect the writes of the tokens in time.
        """
        ...

    def read_member(
        self, info: Info[Any, Any], type_name: str, origin: tuple[str, tuple[str, ...]]
    ) -> None:
        """Record which member of a union or interface this field reads, and from where.

        Raises:
            StaleRead: that read model is staler than a demand allows.
        """
        ...

    def asks_source(self, info: Info[Any, Any]) -> bool:
        """Tell whether this field must be answered by the write service (`onStale: SOURCE`)."""
        ...

    def served(
        self,
        info: Info[Any, Any],
        *,
        read_model: str | None,
        sources: tuple[str, ...],
        served_from: ServedFrom,
        complete: bool = True,
        asked_s: float | None = None,
        reading: Reading | None = None,
    ) -> None:
        """Record that this field, with all below it, was served otherwise than declared.

        For a read model, `reading(read_model)` must have been called before its data was read. For
        a write service, `asked_s` is `now_s()` from before it was asked (left out: the beginning of
        the operation). For a cache, `reading` is the one taken when the value was loaded: a hit
        never renews it; for a read model, the one of a key. What is not complete has no bound.

        Raises:
            StaleRead: so served, the field is staler than a demand allows or misses a write.
        """
        ...

    def absent(self, info: Info[Any, Any]) -> None:
        """Record that this field, or something below it, has looked for what is not there.

        A null, an empty page, a hit without its document: unless it is proven, lag may explain it.
        """
        ...

    @property
    def requires_any(self) -> bool:
        """Whether anything of the operation has a demand to meet, or writes to reflect."""
        ...

    def now_s(self) -> float:
        """Return the present on the monotonic clock that bounds are computed with."""
        ...
