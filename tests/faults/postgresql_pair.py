"""A PostgreSQL server with an asynchronous standby that can be left behind and take over."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from deploy.engines.engine import give_to
from deploy.engines.family import kill
from deploy.engines.ports import LOOPBACK
from deploy.engines.postgresql import PostgreSQL
from deploy.engines.processes import Process, log_tail, start, stop
from tests.end_to_end.harness import free_port_block, until

_READY_S = 60
_COPY_S = 60.0
_STOP_S = 20
_ANYBODY_MAY_TRAVERSE = 0o711


class PostgresqlPair:
    """`url` names both; whoever uses it finds the one that is no standby."""

    def __init__(self, primary: PostgreSQL, standby: PostgreSQL, process: Process) -> None:
        self._primary, self._standby, self._process = primary, standby, process
        self.standby_url = standby.url
        hosts = f"{LOOPBACK}:{primary.port},{LOOPBACK}:{standby.port}"
        self.url = f"postgresql://postgres@{hosts}/postgres"

    def leave_standby_behind(self) -> None:
        """Give the standby nothing more of what is committed from now on."""
        with psycopg.connect(self._standby.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")

            def receivers() -> int:
                found = connection.execute("SELECT count(*) FROM pg_stat_wal_receiver")
                return int(found.fetchall()[0][0])

            until(receivers, lambda count: count == 0)

    def fail_over(self) -> None:
        """End the primary without asking, and let the standby take over."""
        kill(self._process.pid)
        promote(self._standby.url)

    @contextmanager
    def another_standby(self) -> Iterator[str]:
        """Run a second standby of the same primary; yield its URL."""
        folder = self._primary.folder.with_name("another")
        standby = _Standby(folder, self._standby.port + 1, self._primary)
        with _running(standby):
            yield standby.url


def promote(url: str) -> None:
    """Let a standby take over, whoever else has."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")


class _Standby(PostgreSQL):
    def __init__(self, folder: Path, port: int, primary: PostgreSQL) -> None:
        super().__init__(folder, port)
        self._primary = primary

    def _make_database(self, data: Path) -> None:
        copy = [str(self._programs() / "pg_basebackup"), "-D", str(data), "-R", "-X", "stream"]
        made = self._run([*copy, "-c", "fast", "-d", self._primary.url], _COPY_S)
        assert made.returncode == 0, made.stderr


@contextmanager
def running_pair() -> Iterator[PostgresqlPair]:
    """Start both in a folder of their own, and remove all at the end."""
    folder = Path(tempfile.mkdtemp(prefix="slackwater-pair-"))
    folder.chmod(_ANYBODY_MAY_TRAVERSE)
    base = free_port_block()
    primary = PostgreSQL(folder / "primary", base)
    standby = _Standby(folder / "standby", base + 1, primary)
    try:
        with _running(primary) as process, _running(standby):
            yield PostgresqlPair(primary, standby, process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(engine: PostgreSQL) -> Iterator[Process]:
    engine.folder.mkdir()
    give_to(engine.user(), engine.folder)
    engine.install()
    engine.prepare()
    user = engine.user()
    process = start(
        engine.folder,
        engine.command(),
        port=engine.port,
        user=user.uid if user else None,
        group=user.gid if user else None,
    )
    try:
        give_up_s = time.monotonic() + _READY_S
        while not engine.is_ready():
            assert time.monotonic() < give_up_s, log_tail(engine.folder)
            time.sleep(0.1)
        yield process
    finally:
        stop(process, ask_with=engine.ask_to_end_with, wait_s=_STOP_S)
