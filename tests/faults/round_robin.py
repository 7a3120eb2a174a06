"""A load balancer on loopback: each connection goes to the next of several servers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator

_CHUNK = 1 << 16
_STOP_S = 20.0


class RoundRobin:
    """Runs in a thread of its own; `taken` counts the connections of each server's port."""

    def __init__(self) -> None:
        self.servers: list[int] = []
        self.taken: Counter[int] = Counter()
        self.port = 0
        self._turn = itertools.count()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[RoundRobin]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), loop).result(_STOP_S)
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(_STOP_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._server = server

    async def _end(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next round
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = (OSError, asyncio.CancelledError)
        with contextlib.suppress(*ended), contextlib.closing(writer):
            for _ in self.servers:  # one that does not run is passed over
                port = self.servers[next(self._turn) % len(self.servers)]
                with contextlib.suppress(ConnectionRefusedError):
                    await self._connect(port, reader, writer)
                    return

    async def _connect(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        self.taken[port] += 1
        with contextlib.closing(server_writer):
            ways = (_copy(reader, server_writer), _copy(server_reader, writer))
            copying = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in copying:
                    copy.cancel()
                await asyncio.gather(*copying, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
