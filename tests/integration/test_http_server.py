"""Our servers keep idle connections for longer than our clients do."""

from __future__ import annotations

import asyncio

from gateway.services import IDLE_S
from tests.integration.write_side_double import write_side_double

_REQUEST = b"GET /queries/product?sku=NONE HTTP/1.1\r\nHost: slackwater\r\n\r\n"
_START_S = 10.0
_ANSWER_S = 5.0


async def test_a_connection_that_the_gateway_still_holds_is_open() -> None:
    async with write_side_double() as services:
        host, port = services.url.removeprefix("http://").split(":")
        async with asyncio.timeout(_START_S):
            reader, writer = await _connected(host, int(port))
        try:
            for pause_s in (0.0, IDLE_S + 1.0):
                await asyncio.sleep(pause_s)  # idling is what is tested
                writer.write(_REQUEST)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _ANSWER_S)
                assert head.startswith(b"HTTP/1.1 ")
                await reader.readexactly(_length(head))
        finally:
            writer.close()
            await writer.wait_closed()


async def _connected(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:  # the server begins to listen in a moment
        try:
            return await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)


def _length(head: bytes) -> int:
    [length] = [
        line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")
    ]
    return int(length.removeprefix(b"content-length: "))
