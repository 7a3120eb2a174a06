"""Serves an ASGI application until cancelled; several servers share one process and loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import uvicorn

from slackwater.errors import ConfigurationError

_SHUTDOWN_S = 3
_WEBSOCKET_MESSAGE_BYTES_MAX = 1_048_576
# Clients must be the first to close a connection that idles (the gateway does after 5 s, balancers
# after up to 60 s): one that is used again as its server closes it loses the request's answer.
_IDLE_S = 75


class PortTakenError(ConfigurationError):
    """The port is in use; stop the other program or choose another with --port."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the process, not to one of its servers


async def serve(app: Any, host: str, port: int) -> None:
    """Serve on host and port; when cancelled, let requests in flight finish for a moment.

    Raises:
        PortTakenError: another program listens there.
    """
    listening = _bind(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=_SHUTDOWN_S,
        timeout_keep_alive=_IDLE_S,
        server_header=False,
        ws_max_size=_WEBSOCKET_MESSAGE_BYTES_MAX,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        listening.close()


def require_free(host: str, ports: Iterable[int]) -> None:
    """Check that nobody listens on any of the ports.

    Raises:
        PortTakenError: another program listens there.
    """
    for port in ports:
        _bind(host, port).close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio sends small answers at once (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortTakenError(
            f"cannot listen on {host}:{port} ({error.strerror}); "
            "stop the other program or choose another port with --port"
        ) from error
    return listening
