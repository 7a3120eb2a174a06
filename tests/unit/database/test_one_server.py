"""Work that is put together from several transactions keeps to one server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from slackwater.database import one_server
from slackwater.database.one_server import OneServer
from slackwater.errors import TransientError


class Servers:
    """Implements `Session`: works on whichever server a connection leads to."""

    def __init__(self) -> None:
        self.answering = "first"
        self.worked_on: list[str] = []

    async def read(self, work: Callable[[Any], Any]) -> Any:
        return work(self.answering)

    transact = read

    def work(self, connection: Any) -> None:
        self.worked_on.append(cast("str", connection))


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    monkeypatch.setattr(one_server, "read_history", lambda connection: connection)
    return Servers()


async def test_what_is_read_and_written_is_of_the_server_that_answered_first(
    servers: Servers,
) -> None:
    session = OneServer(servers)
    await session.read(servers.work)
    await session.transact(servers.work)
    assert await session.history() == "first"
    servers.answering = "second"
    for each in (session.read(servers.work), session.transact(servers.work), session.history()):
        with pytest.raises(TransientError, match="another database server"):
            await each
    servers.answering = "first"
    await session.read(servers.work)
    assert servers.worked_on == ["first"] * 3
