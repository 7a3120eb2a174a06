"""Doorbells over sockets: in one process, across processes, and with dead listeners."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import uvloop

from slackwater.sockets_doorbell import SocketDoorbell, UnsafeFolderError
from slackwater.testing.doorbell_contract import DoorbellContract

DEADLINE_MS = 10_000

RING = """
import sys
from pathlib import Path
from slackwater.sockets_doorbell import SocketDoorbell
SocketDoorbell(Path(sys.argv[1])).ring(sys.argv[2])
"""
LISTEN_AND_DIE = """
import asyncio, os, sys
from pathlib import Path
from slackwater.sockets_doorbell import SocketDoorbell
async def main():
    SocketDoorbell(Path(sys.argv[1])).listen(sys.argv[2])
    os._exit(0)
asyncio.run(main())
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A private temporary folder, with a path short enough for sockets."""
    folder = Path(f"/tmp/bell-{time.monotonic_ns():x}")
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    for each in sorted(folder.rglob("*"), reverse=True):
        each.rmdir() if each.is_dir() else each.unlink()
    folder.rmdir()


@pytest.fixture
async def bell(folders: Path, tmp_path: Path) -> AsyncIterator[SocketDoorbell]:
    with closing(SocketDoorbell(tmp_path)) as doorbell:
        yield doorbell


@pytest.fixture
async def other(bell: SocketDoorbell, tmp_path: Path) -> AsyncIterator[SocketDoorbell]:
    with closing(SocketDoorbell(tmp_path)) as doorbell:
        yield doorbell


class TestSocketDoorbell(DoorbellContract):
    adapter = SocketDoorbell


async def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-c", program, *arguments]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)


def sockets(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_socket()]


async def test_a_ring_wakes_every_listener_of_its_name_and_no_other(bell: SocketDoorbell) -> None:
    first, second, other = (bell.listen(name) for name in ("log/a", "log/a", "log/b"))
    waiting = [asyncio.create_task(each.wait(timeout_ms=DEADLINE_MS)) for each in (first, second)]
    await asyncio.sleep(0)
    bell.ring("log/a")
    assert await asyncio.gather(*waiting) == [True, True]
    assert not await other.wait(timeout_ms=0)


async def test_a_ring_before_the_wait_is_not_missed_and_is_told_once(bell: SocketDoorbell) -> None:
    listener = bell.listen("log/a")
    for _ in range(3):
        bell.ring("log/a")
    assert await listener.wait(timeout_ms=0)
    assert not await listener.wait(timeout_ms=0)


async def test_ringing_never_blocks_however_many_rings_are_unheard(bell: SocketDoorbell) -> None:
    listener = bell.listen("log/a")
    began_s = time.monotonic()
    for _ in range(5_000):
        bell.ring("log/a")
    assert time.monotonic() - began_s < 10
    assert await listener.wait(timeout_ms=0)


async def test_a_ring_reaches_other_processes(bell: SocketDoorbell, tmp_path: Path) -> None:
    listener = bell.listen("log/a")
    waiting = asyncio.create_task(listener.wait(timeout_ms=DEADLINE_MS))
    await run(RING, str(tmp_path), "log/a")
    assert await waiting


async def test_another_data_directory_has_bells_of_its_own(
    bell: SocketDoorbell, tmp_path: Path
) -> None:
    listener = bell.listen("log/a")
    with closing(SocketDoorbell(tmp_path / "other")) as other:
        other.ring("log/a")
    assert not await listener.wait(timeout_ms=0)


async def test_a_data_directory_may_have_a_very_long_path(folders: Path, tmp_path: Path) -> None:
    with closing(SocketDoorbell(tmp_path / ("long" * 50) / ("long" * 50))) as doorbell:
        listener = doorbell.listen("log/" + "a" * 500)
        doorbell.ring("log/" + "a" * 500)
        assert await listener.wait(timeout_ms=0)


async def test_sockets_of_dead_listeners_are_removed_by_the_next_ring(
    bell: SocketDoorbell, tmp_path: Path, folders: Path
) -> None:
    await run(LISTEN_AND_DIE, str(tmp_path), "log/a")
    assert len(sockets(folders)) == 1
    alive = bell.listen("log/a")
    bell.ring("log/a")
    assert len(sockets(folders)) == 1
    assert await alive.wait(timeout_ms=0)


async def test_a_closed_listener_removes_its_socket_and_hears_nothing(
    bell: SocketDoorbell, folders: Path
) -> None:
    listener = bell.listen("log/a")
    bell.ring("log/a")
    listener.close()
    assert sockets(folders) == []
    bell.ring("log/a")
    assert not await listener.wait(timeout_ms=0)


async def test_waiting_at_a_closed_listener_never_spins(bell: SocketDoorbell) -> None:
    listener = bell.listen("log/a")
    bell.close()
    began_s = time.monotonic()
    assert not await listener.wait(timeout_ms=50)
    assert time.monotonic() - began_s > 0.04


async def test_ringing_after_close_is_silent(bell: SocketDoorbell) -> None:
    listener = bell.listen("log/a")
    bell.close()
    bell.ring("log/a")
    assert not await listener.wait(timeout_ms=0)


async def test_a_folder_that_others_may_enter_is_refused(folders: Path, tmp_path: Path) -> None:
    with closing(SocketDoorbell(tmp_path)):
        [folder] = folders.iterdir()
        folder.chmod(0o755)
        with pytest.raises(UnsafeFolderError, match="0700"):
            SocketDoorbell(tmp_path)


async def test_the_last_to_close_removes_the_folder_and_the_next_makes_it_anew(
    bell: SocketDoorbell, folders: Path, tmp_path: Path
) -> None:
    SocketDoorbell(tmp_path).close()
    assert list(folders.iterdir()) == []
    listener = bell.listen("log/a")
    SocketDoorbell(tmp_path).close()
    bell.ring("log/a")
    assert await listener.wait(timeout_ms=0)


def test_it_works_on_uvloop(folders: Path, tmp_path: Path) -> None:
    async def ring_and_wait() -> bool:
        with closing(SocketDoorbell(tmp_path)) as doorbell:
            listener = doorbell.listen("log/a")
            waiting = asyncio.create_task(listener.wait(timeout_ms=DEADLINE_MS))
            await asyncio.sleep(0)
            doorbell.ring("log/a")
            return await waiting

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ring_and_wait())
