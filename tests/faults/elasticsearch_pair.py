"""Two nodes of Elasticsearch with a copy of each index on both, and the network between them.

Each node publishes the port of a proxy for the other one to connect to, so that the two can be cut
off from each other while clients still reach both.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from deploy.engines.elasticsearch import Elasticsearch
from deploy.engines.ports import LOOPBACK
from deploy.engines.processes import log_tail, start, stop
from tests.end_to_end.harness import free_port_block
from tests.faults.loopback_proxy import LoopbackProxy

_READY_S = 120
_STOP_S = 20
_ANYBODY_MAY_TRAVERSE = 0o711


class ElasticsearchPair:
    """`main` alone can be master; `second` holds the other copy."""

    def __init__(self, main: _Node, second: _Node, between: tuple[LoopbackProxy, ...]) -> None:
        self.main_url = main.url
        self.second_url = second.url
        self._between = between

    def cut(self) -> None:
        """Let the nodes lose each other; clients go on reaching both."""
        for proxy in self._between:
            proxy.go_away()

    def heal(self) -> None:
        for proxy in self._between:
            proxy.come_back()


class _Node(Elasticsearch):
    def __init__(self, folder: Path, port: int, settings: Mapping[str, str]) -> None:
        super().__init__(folder, port)
        self._settings = settings

    def prepare(self) -> None:
        super().prepare()
        path = self._configuration / "elasticsearch.yml"
        lines = path.read_text().splitlines()
        stored = dict(line.split(": ", 1) for line in lines if "discovery.type" not in line)
        path.write_text("".join(f"{k}: {v}\n" for k, v in {**stored, **self._settings}.items()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[_Node]:
        self.folder.mkdir()
        await asyncio.to_thread(self.install)
        await asyncio.to_thread(self.prepare)
        user = self.user()
        process = start(
            self.folder,
            self.command(),
            port=self.port,
            working_folder=self.working_folder,
            user=user.uid if user else None,
            group=user.gid if user else None,
            environment=self.environment(),
        )
        try:
            yield self
        finally:
            await asyncio.to_thread(stop, process, ask_with=self.ask_to_end_with, wait_s=_STOP_S)

    async def wait_until_ready(self) -> None:
        give_up_s = time.monotonic() + _READY_S
        while not await asyncio.to_thread(self._answers):
            if time.monotonic() > give_up_s:
                raise AssertionError(log_tail(self.folder))
            await asyncio.sleep(0.2)

    def _answers(self) -> bool:
        try:
            return self.is_ready()
        except OSError:
            return False


@asynccontextmanager
async def running_pair() -> AsyncIterator[ElasticsearchPair]:
    """Start both nodes in a folder of their own, and remove all at the end."""
    folder = Path(tempfile.mkdtemp(prefix="slackwater-pair-"))
    folder.chmod(_ANYBODY_MAY_TRAVERSE)
    base = free_port_block()
    try:
        async with AsyncExitStack() as stack:
            to_main, to_second = [
                await stack.enter_async_context(LoopbackProxy(LOOPBACK, port).running())
                for port in (base + 2, base + 3)
            ]
            main = _Node(
                folder / "main",
                base,
                {
                    "node.name": "main",
                    "transport.port": str(base + 2),
                    "transport.publish_port": str(to_main.port),
                    "cluster.initial_master_nodes": "main",
                },
            )
            second = _Node(
                folder / "second",
                base + 1,
                {
                    "node.name": "second",
                    "node.roles": "data",
                    "transport.port": str(base + 3),
                    "transport.publish_port": str(to_second.port),
                    "discovery.seed_hosts": f"{LOOPBACK}:{to_main.port}",
                },
            )
            for node in (main, second):
                await stack.enter_async_context(node.running())
            for node in (main, second):
                await node.wait_until_ready()
            yield ElasticsearchPair(main, second, (to_main, to_second))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
