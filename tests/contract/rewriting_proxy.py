"""A loopback proxy that hands on requests and lets a test rewrite the replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import aiohttp
import orjson
from aiohttp import web


class Reply(NamedTuple):
    """The JSON reply to a request."""

    status: int
    body: dict[str, Any]


class Request(NamedTuple):
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str]


Rewrite = Callable[[Reply], Reply]

_HOP = {"content-length", "content-encoding", "transfer-encoding", "connection", "host"}


class RewritingProxy:
    """Stands between a client and the server at `target`."""

    def __init__(self, target: str) -> None:
        self._target = target.rstrip("/")
        self._rewrites: dict[str, Rewrite] = {}
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self.requests: list[Request] = []
        self.hidden_headers: set[str] = set()

    @contextmanager
    def rewriting(self, path_part: str, rewrite: Rewrite) -> Iterator[None]:
        """Rewrite the replies to requests whose path ends with `path_part`."""
        self._rewrites[path_part] = rewrite
        try:
            yield
        finally:
            del self._rewrites[path_part]

    def count(self, path_part: str) -> int:
        """Count the requests whose path ended with `path_part`."""
        return sum(request.path.endswith(path_part) for request in self.requests)

    async def start(self) -> str:
        """Begin to serve; return the address."""
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        app = web.Application(client_max_size=100_000_000)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return self.address

    @property
    def address(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        assert self._runner is not None
        assert self._client is not None
        await self._runner.cleanup()
        await self._client.close()

    async def _handle(self, request: web.Request) -> web.Response:
        assert self._client is not None
        self.requests.append(Request(request.method, request.path, dict(request.headers)))
        async with self._client.request(
            request.method,
            f"{self._target}{request.raw_path}",
            data=await request.read(),
            headers=_end_to_end(request.headers, {"authorization"}),
        ) as answer:
            reply, body = answer.status, await answer.read()
            headers = _end_to_end(answer.headers, self.hidden_headers)
        for path_part, rewrite in self._rewrites.items():
            if request.path.endswith(path_part):
                reply, rewritten = rewrite(Reply(reply, orjson.loads(body)))
                body = orjson.dumps(rewritten)
        return web.Response(status=reply, body=body, headers=headers)


def _end_to_end(headers: Mapping[str, str], hidden: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in {*_HOP, *hidden}}
