"""Tells whether a port on loopback is free."""

from __future__ import annotations

import socket

from deploy.engines.errors import PortTakenError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def refuse_taken(engine: str, port: int, own_port: int) -> None:
    """Refuse a port on which somebody listens; `own_port` is the one that the user can choose.

    Raises:
        PortTakenError: another program listens there.
    """
    if not is_free(port):
        raise PortTakenError(
            f"port {port} is taken by a program that was not started from here; "
            f"stop it or choose another with --port {engine}={own_port + 10}"
        )
