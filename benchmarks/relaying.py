"""The process of a relay: started, frozen and ended by its id, and missed when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import IO

_END_S = 15.0
_SHOWN_BYTES = 2_000


class RelayError(Exception):
    """A relay did not do its work; the message ends with its last words."""


class RelayProcess:
    """A relay that runs; its standard input ends with us, whatever ends us."""

    def __init__(self, process: asyncio.subprocess.Process, output: IO[bytes]) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it stand still for a while."""
        self._send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._send(signal.SIGCONT)

    async def until(self, happens: Coroutine[None, None, None]) -> None:
        """Wait for something that happens only while it runs.

        Raises:
            RelayError: it has ended, or is too late.
        """
        ending, waiting = (asyncio.ensure_future(each) for each in (self._process.wait(), happens))
        try:
            await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise RelayError(f"it ended ({self._process.returncode}):\n{self._last_words()}")
            await waiting
        except TimeoutError as error:
            raise RelayError(f"{error}:\n{self._last_words()}") from error
        finally:
            ending.cancel()
            waiting.cancel()

    async def end(self) -> None:
        """End it, by force when it does not listen."""
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self._process.wait()

    def cpu_s(self) -> float:
        """Return the processor time that it has taken."""
        return cpu_s(self.pid)

    def _send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    def _last_words(self) -> str:
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - _SHOWN_BYTES))
        return self._output.read().decode(errors="replace")


@asynccontextmanager
async def relaying(command: Sequence[str]) -> AsyncIterator[RelayProcess]:
    """Run a relay; it has ended afterwards."""
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output
        )
        relay = RelayProcess(process, output)
        try:
            yield relay
        finally:
            await relay.end()


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken, all its threads together."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
