"""The context of one GraphQL operation: what its resolvers read from and write to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.rate_meter import RateMeter
from gateway.sources import Sources
from slackwater.events.event import Cause
from slackwater.freshness.token import ConsistencyToken, TokenSigner

if TYPE_CHECKING:
    from gateway.freshness.operation import OperationFreshness
    from gateway.readers import Readers
    from gateway.services import Services
    from slackwater.freshness.board import FreshnessBoard


@dataclass
class Request:
    """One operation. `freshness` is set before execution begins."""

    readers: Readers
    services: Services
    board: FreshnessBoard
    signer: TokenSigner
    cause: Cause
    freshness: OperationFreshness
    meter: RateMeter = field(default_factory=RateMeter)
    idempotency_key: str | None = None
    read_after: ConsistencyToken = field(default_factory=ConsistencyToken)
    written: ConsistencyToken = field(default_factory=ConsistencyToken)
    commands_begun: int = 0
    sources: Sources = field(init=False)

    def __post_init__(self) -> None:
        self.sources = Sources(self.services, self.freshness)

    def renew(self) -> None:
        """Begin the next event of a subscription: nothing that was read before is remembered."""
        self.readers = self.readers.anew()
        self.sources = self.sources.anew()

    def wrote(self, token: ConsistencyToken) -> None:
        """A command has been done: its service must be asked anew."""
        self.written = self.written.merge(token)
        self.sources = self.sources.anew()
