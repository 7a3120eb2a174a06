"""A server that speaks MongoDB's wire protocol: SecantusDB, for tests only.

MongoDB itself is in no package registry. SecantusDB is under GPL-2.0: it is installed into an
environment of its own and runs as a separate program; nothing of Slackwater imports it.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.engines.downloads import Fetching
from deploy.engines.engine import Engine
from deploy.engines.ports import LOOPBACK

VERSION = "0.7.0b3"
_LOCK = Path(__file__).with_name("secantusdb.lock")
_ASK_S = 2.0
_OP_MSG = 2013


class MongoDB(Engine):
    """One node that calls itself a replica set."""

    name = "mongodb"
    setting = "SLACKWATER_MONGODB_URL"
    service = "mongo"
    default_port = 27101
    tested_on = f"SecantusDB {VERSION}, which speaks MongoDB's protocol"

    @property
    def url(self) -> str:
        return f"mongodb://{LOOPBACK}:{self.port}/?directConnection=true"

    def install(self) -> None:
        self._environment()

    def prepare(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str | Path]:
        programs = self._environment() / "bin"
        return [
            programs / "python", programs / "secantusd-py", "--host", LOOPBACK,
            "--port", str(self.port), "--storage-path", self._data, "--cache-size", "512M",
            "--log-level", "WARNING",
            # Without it a transaction that was acknowledged with j: true is lost by a kill.
            "--sync-on-commit",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """Say hello, and hear whether it takes writes."""
        with socket.create_connection((LOOPBACK, self.port), timeout=_ASK_S) as connection:
            connection.sendall(hello())
            return b"\x08isWritablePrimary\0\x01" in connection.recv(65_536)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _environment(self) -> Path:
        return self.cache.once(f"secantusdb-{VERSION}", self._fetch)

    def _fetch(self, fetching: Fetching) -> None:
        self.tell("SecantusDB is GPL-2.0: a separate test server, no part of Slackwater")
        fetching.run([sys.executable, "-m", "venv", fetching.folder], "an environment for it")
        fetching.run(
            [fetching.folder / "bin" / "python", "-m", "pip", "install", "--quiet",
             "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", _LOCK],
            f"secantusdb {VERSION} and what it needs",
        )  # fmt: skip


def hello() -> bytes:
    """Return the message `{hello: 1, $db: "admin"}`."""
    elements = (
        b"\x10hello\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0"
    )
    document = struct.pack("<i", len(elements) + 5) + elements + b"\0"
    body = struct.pack("<IB", 0, 0) + document
    return struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body
