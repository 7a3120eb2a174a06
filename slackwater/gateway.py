"""What the kernel must know of a gateway and of a demo to run them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from slackwater.clock import Clock
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.token import TokenSigner
from slackwater.http.health import Problems
from slackwater.read_models.documents import DocumentStore
from slackwater.read_models.read_model import ReadModel
from slackwater.read_models.search import SearchIndex

if TYPE_CHECKING:
    from slackwater.settings import Settings


class GatewayParts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a gateway is built from."""

    settings: Settings
    documents: DocumentStore
    search: SearchIndex
    board: FreshnessBoard
    signer: TokenSigner
    service_urls: dict[str, str]
    clock: Clock
    problems: Problems


class GatewayDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway: the read models that it serves, and how its application is built.

    `app` yields the ASGI application; leaving the context closes what it holds. `sdl` returns the
    schema's text.
    """

    read_models: tuple[ReadModel, ...]
    app: Callable[[GatewayParts], AbstractAsyncContextManager[Any]]
    sdl: Callable[[], str]


class DemoProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the demo data is: a label, and how many of how many."""

    label: str
    done: int
    total: int


class DemoDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """Demo data, made by the same commands as real data.

    `seed` resumes where an earlier run stopped and doubles nothing. `traffic` keeps going at a rate
    in orders a second until its iterator is closed.
    """

    seed: Callable[[dict[str, str]], AsyncIterator[DemoProgress]]
    traffic: Callable[[dict[str, str], float], AsyncIterator[DemoProgress]]
