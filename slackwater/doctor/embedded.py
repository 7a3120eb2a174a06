"""The data folder: what the embedded storage needs of it, and whether its files are whole.

It is examined as it is; a folder that does not exist yet is not made.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import cast

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.doctor.migrations import compared
from slackwater.service.definition import ServiceDefinition
from slackwater.sqlite.driver import VERSION_MIN, Connection, dbapi2

_MIB = 1 << 20
_FREE_MIB_MIN = 64
_FREE_MIB_ENOUGH = 1024
_READ_TIMEOUT_S = 300.0
_STEPS_BETWEEN_LOOKS = 100_000
_ELSEWHERE = "make it writable for this user, or choose another folder with --data-dir"
_MAKE_ROOM = "free room on that disk, or choose another folder with --data-dir"
_NEWER_DRIVER = "install pysqlite3 0.6.1 or newer"
_SEE_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
_MEND_FILE = "make it readable and writable for this user, or restore it from a copy"
_RESTORE = (
    "stop everything that uses the folder, put the file aside and restore it from a copy; "
    "documents and search can be built anew from the log (slackwater rebuild)"
)


@asynccontextmanager
async def opened(
    data_dir: Path, *, keeps_data: bool, services: Sequence[ServiceDefinition], thorough: bool
) -> AsyncIterator[Sequence[Check]]:
    """Yield the checks of the folder.

    Args:
        data_dir: the folder; it need not exist.
        keeps_data: whether any port is embedded; else the folder holds the token secret at most.
        services: those whose databases are files here.
        thorough: read every file whole, which takes its time.
    """
    checks = [
        _check("folder writable", partial(_see_writable, data_dir), _ELSEWHERE),
        _check("free disk space", partial(_see_free_space, data_dir), _MAKE_ROOM),
    ]
    if keeps_data:
        checks.append(_check("SQLite version", _see_version, _NEWER_DRIVER))
    for service in services:
        if (path := data_dir / "services" / f"{service.name}.sqlite").exists():
            look = partial(_see_migrations, path, service)
            checks.append(_check(f"migrations of {service.name}", look, _MEND_FILE))
    if keeps_data and thorough:
        checks += [_integrity(path, data_dir) for path in _files(data_dir)]
    yield checks


def _check(name: str, look: Callable[[], Seen], remedy: str) -> Check:
    return Check(name, partial(asyncio.to_thread, look), remedy)


def _see_writable(data_dir: Path) -> Seen:
    folder = _existing(data_dir)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-"):
            pass
    except OSError as error:
        return broken(f"nothing can be written to {folder} ({error.strerror})", _ELSEWHERE)
    if folder != data_dir.absolute():
        return ok(f"yes; it is made in {folder} at the first start")
    return ok("yes")


def _see_free_space(data_dir: Path) -> Seen:
    free_mib = shutil.disk_usage(_existing(data_dir)).free // _MIB
    found = f"{free_mib / 1024:,.1f} GiB"
    if free_mib < _FREE_MIB_MIN:
        return broken(found, _MAKE_ROOM)
    if free_mib < _FREE_MIB_ENOUGH:
        return caution(found, _MAKE_ROOM)
    return ok(found)


def _see_version() -> Seen:
    found = dbapi2.sqlite_version
    if dbapi2.sqlite_version_info < VERSION_MIN:
        return broken(f"{found}, which can corrupt files shared by processes", _NEWER_DRIVER)
    return ok(found)


def _see_migrations(path: Path, service: ServiceDefinition) -> Seen:
    with closing(_connect(path)) as connection:
        found = None  # the file is there before its tables
        if connection.execute(_SEE_TABLE).fetchone() is not None:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return compared(str(found[0]) if found else None, service)


def _existing(folder: Path) -> Path:
    """Return the folder, or where it would be made."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def _files(data_dir: Path) -> list[Path]:
    return sorted(data_dir.rglob("*.sqlite"))


def _integrity(path: Path, data_dir: Path) -> Check:
    return Check(
        f"whole: {path.relative_to(data_dir)}",
        partial(_see_integrity, path),
        _RESTORE,
        _READ_TIMEOUT_S,
    )


async def _see_integrity(path: Path) -> Seen:
    """Read the whole file; the thread is told to stop when nobody waits for it any more."""
    abandoned = threading.Event()
    try:
        return await asyncio.to_thread(_quick_check, path, abandoned)
    finally:
        abandoned.set()


def _quick_check(path: Path, abandoned: threading.Event) -> Seen:
    with closing(_connect(path)) as connection:
        connection.set_progress_handler(abandoned.is_set, _STEPS_BETWEEN_LOOKS)
        [problem, *_] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        return broken(str(problem), _RESTORE)
    return ok(f"{path.stat().st_size / _MIB:,.1f} MiB are sound")


def _connect(path: Path) -> Connection:
    """Open the file for reading only; nothing of it is changed, not even its mode."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return cast("Connection", dbapi2.connect(uri, uri=True, isolation_level=None))
