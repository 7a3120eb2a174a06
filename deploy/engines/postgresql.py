"""PostgreSQL from the operating system's packages, ready for logical decoding."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.engines.engine import Engine, User, give_to
from deploy.engines.errors import EngineError
from deploy.engines.ports import LOOPBACK
from deploy.engines.programs import found_or_installed

_ASK_S = 5.0
_MAKE_S = 60.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a path deep down would be too long for a socket
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_slot_wal_keep_size": "1GB",
    "track_commit_timestamp": "on",
}


class PostgreSQL(Engine):
    """One server; anybody on this machine may log in, as in any test server."""

    name = "postgresql"
    setting = "SLACKWATER_POSTGRESQL_URL"
    service = "postgres"
    default_port = 5439
    tested_on = "PostgreSQL 15, of Debian 12"
    ask_to_end_with = signal.SIGINT  # ends sessions instead of waiting for them

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/postgres"

    def install(self) -> None:
        self._programs()

    def prepare(self) -> None:
        """Make the database; one half made by an interrupted start is made anew."""
        data = self._data
        if data.is_dir():
            return
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700, parents=True)
        give_to(self.user(), new)
        self._make_database(new)
        new.rename(data)

    def command(self) -> Sequence[str | Path]:
        settings = [f"{name}={value}" for name, value in {**_SETTINGS, "port": self.port}.items()]
        options = [part for setting in settings for part in ("-c", setting)]
        return [self._programs() / "postgres", "-D", self._data, *options]

    def is_ready(self) -> bool:
        asked = [str(self._programs() / "psql"), self.url, "-Xqtc", "SELECT 1"]
        try:
            return self._run(asked, _ASK_S).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def user(self) -> User | None:
        if os.geteuid() != 0:
            return None
        entry = pwd.getpwnam("postgres")
        return User(entry.pw_uid, entry.pw_gid)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _programs(self) -> Path:
        return found_or_installed(_find_programs, "PostgreSQL", "postgresql")

    def _make_database(self, data: Path) -> None:
        initdb = [str(self._programs() / "initdb"), "-D", str(data), "-U", "postgres"]
        made = self._run([*initdb, "-A", "trust", "-E", "UTF8", "--no-locale"], _MAKE_S)
        if made.returncode != 0:
            raise EngineError(f"initdb failed; mend this and try again:\n{made.stderr}")

    def _run(self, command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        user = self.user()
        return subprocess.run(  # noqa: S603 - our own commands only
            command,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )


def _find_programs() -> Path | None:
    """Debian keeps them in a folder for each version, others on the path."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if _has_server(path)]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _has_server(programs: Path) -> bool:
    return programs.parent.name.isdecimal() and (programs / "initdb").exists()
