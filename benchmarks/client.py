"""A GraphQL client for measuring, which costs the measured machine as little as possible."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

PLACE = (
    "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) "
    "{ ... on PlaceOrderSuccess { order { id } } } }"
)


class Connection:
    """A keep-alive connection; one question at a time."""

    def __init__(self, port: int, extensions: Mapping[str, Any] | None = None) -> None:
        self._port = port
        self._extensions = dict(extensions or {})
        self.bytes_received = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._ask(query, variables)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.close()  # the server ends connections that were idle for some seconds
            self._streams = None
            return await self._ask(query, variables)

    async def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        asked = {"query": query, "variables": variables, "extensions": self._extensions}
        body = json.dumps(asked).encode()
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        answer: dict[str, Any] = json.loads(await reader.readexactly(length))
        self.bytes_received += length
        return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
