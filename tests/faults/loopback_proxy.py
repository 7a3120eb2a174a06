"""A proxy on loopback that can go away, lose the answer to one request, or rewrite answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 1 << 16


class LoopbackProxy:
    """Forwards connections to a server until it is told to be away."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._connections: set[asyncio.StreamWriter] = set()
        self._is_away = False
        self.loses_answer_to: bytes | None = None
        self.goes_away_with_the_answer = False
        self.rewrites: dict[bytes, bytes] = {}
        """What stands in answers, and what clients get in its place; of one length."""
        self.rewritten = 0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LoopbackProxy]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.go_away()
            server.close()
            await server.wait_closed()

    def go_away(self) -> None:
        self._is_away = True
        for connection in self._connections:
            connection.close()

    def come_back(self) -> None:
        self._is_away = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        pair = {writer, server_writer}
        self._connections |= pair
        answer_is_lost = asyncio.Event()
        with suppress(OSError):
            await asyncio.gather(
                self._forward(reader, server_writer, answer_is_lost),
                self._return(server_reader, writer, answer_is_lost),
            )
        self._connections -= pair
        for connection in pair:
            connection.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.loses_answer_to is not None and self.loses_answer_to in chunk:
                self.loses_answer_to = None
                lost.set()
            writer.write(chunk)
        writer.close()

    async def _return(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if lost.is_set():
                if self.goes_away_with_the_answer:
                    self.go_away()
                break
            writer.write(self._rewritten(chunk))
        writer.close()

    def _rewritten(self, chunk: bytes) -> bytes:
        for there, instead in self.rewrites.items():
            self.rewritten += chunk.count(there)
            chunk = chunk.replace(there, instead)
        return chunk
