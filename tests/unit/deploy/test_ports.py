"""A port that somebody else has is refused."""

from __future__ import annotations

import socket

import pytest

from deploy.engines.errors import PortTakenError
from deploy.engines.ports import is_free, refuse_taken


def test_a_port_is_taken_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(PortTakenError, match=f"--port kafka={port + 10}"):
            refuse_taken("kafka", port, port)
    refuse_taken("kafka", port, port)
