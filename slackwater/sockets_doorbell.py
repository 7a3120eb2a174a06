"""Doorbells over Unix datagram sockets: they reach every process of one user on this machine.

Each listener owns a socket file whose name begins with its bell; to ring is to send a byte to each
of them. A ring that cannot be delivered is dropped, as the port allows: a full queue means that
the listener has been rung already, a refused byte that its owner is dead.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import stat
import tempfile
import time
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from slackwater.doorbell import DoorbellCapability
from slackwater.errors import StructuralError

_PATH_BYTES_MAX = 107
_HASH_CHARS = 12
_RINGS_BYTES_MAX = 64
_LISTING_MAX_AGE_S = 0.25
_BIND_TRIES_MAX = 5


class UnsafeFolderError(StructuralError):
    """The folder for doorbells is not ours alone, or its path too long; set another TMPDIR."""


class SocketDoorbell:
    """Implements `Doorbell` for all processes that share a data directory."""

    capabilities: frozenset[DoorbellCapability] = frozenset()

    def __init__(self, directory: Path) -> None:
        self._folder = _own_folder(directory)
        self._sender = _datagram_socket()
        self._listeners: set[SocketListener] = set()
        self._closed = False
        self._entries: list[str] = []
        self._listed_s = -_LISTING_MAX_AGE_S
        self._listener_count = 0

    def ring(self, name: str) -> None:
        if self._closed:
            return
        prefix = _prefix_of(name)
        for entry in self._known_entries():
            if entry.startswith(prefix):
                self._ring_one(f"{self._folder}/{entry}")

    def listen(self, name: str) -> SocketListener:
        """Begin to listen now, on the running event loop.

        Raises:
            UnsafeFolderError: the folder is not ours alone.
        """
        path = self._folder / f"{_prefix_of(name)}{secrets.token_hex(_HASH_CHARS // 2)}"
        for _ in range(_BIND_TRIES_MAX):
            _make_private(self._folder)
            with suppress(FileNotFoundError):  # whoever closed last has just removed the folder
                return SocketListener(path, self._listeners)
        raise UnsafeFolderError(f"{self._folder} vanishes again and again; set another TMPDIR")

    def close(self) -> None:
        self._closed = True
        for listener in tuple(self._listeners):
            listener.close()
        self._sender.close()
        with suppress(OSError):  # others still listen
            self._folder.rmdir()

    def _known_entries(self) -> list[str]:
        """List the folder, anew at most every so often: rings are many, new listeners are few."""
        now_s = time.monotonic()
        if self._own_listeners_changed() or now_s - self._listed_s > _LISTING_MAX_AGE_S:
            self._entries = _entries(self._folder)
            self._listed_s = now_s
        return self._entries

    def _own_listeners_changed(self) -> bool:
        count, self._listener_count = self._listener_count, len(self._listeners)
        return count != self._listener_count

    def _ring_one(self, path: str) -> None:
        try:
            self._sender.sendto(b"!", path)
        except ConnectionRefusedError:
            with suppress(OSError):
                os.unlink(path)
        except OSError:
            pass  # the listener has unread rings, or left since the folder was read


class SocketListener:
    """Somebody waiting at one bell, on the event loop that was running at its beginning."""

    def __init__(self, path: Path, open_listeners: set[SocketListener]) -> None:
        self._loop = asyncio.get_running_loop()
        self._open_listeners = open_listeners
        self._path = path
        self._rung = asyncio.Event()
        self._socket = _datagram_socket()
        try:
            self._socket.bind(str(path))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._hear)
        open_listeners.add(self)

    async def wait(self, *, timeout_ms: int) -> bool:
        if not self._is_closed:
            self._hear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self._rung.wait()
        has_rung = self._rung.is_set()
        self._rung.clear()
        return has_rung

    def close(self) -> None:
        """Stop listening; a wait then hears nothing and ends when its time is up."""
        if self._is_closed:
            return
        self._open_listeners.discard(self)
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)
        self._rung.clear()

    @property
    def _is_closed(self) -> bool:
        return self._socket.fileno() < 0

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while self._socket.recv(_RINGS_BYTES_MAX):
                self._rung.set()


def _datagram_socket() -> socket.socket:
    datagram_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagram_socket.setblocking(False)
    return datagram_socket


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _own_folder(directory: Path) -> Path:
    """Name the folder of a data directory: short, because socket paths end at 107 bytes."""
    hashed = _hash_of(str(directory.resolve()))
    folder = Path(tempfile.gettempdir()) / f"slackwater-{os.getuid()}-{hashed}"
    if len(os.fsencode(folder)) + 2 * (_HASH_CHARS + 1) > _PATH_BYTES_MAX:
        raise UnsafeFolderError(f"{folder} is too long for sockets; set TMPDIR to a shorter one")
    _make_private(folder)
    return folder


def _make_private(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not is_ours or status.st_mode & 0o077:
        raise UnsafeFolderError(
            f"{folder} must be a folder of this user with mode 0700; remove it or set TMPDIR"
        )


@cache
def _prefix_of(name: str) -> str:
    return f"{_hash_of(name)}-"


def _hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_HASH_CHARS]
