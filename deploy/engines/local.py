"""Engines as processes of this machine, started in parallel."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from deploy.engines import environment
from deploy.engines.engine import Engine
from deploy.engines.errors import EngineError, NotReadyError, PortTakenError
from deploy.engines.family import kill
from deploy.engines.lock import locked
from deploy.engines.ports import refuse_taken
from deploy.engines.processes import Process, log_tail, recorded, start, stop
from deploy.engines.roster import ENGINES
from deploy.engines.state import Condition, State
from deploy.engines.tell import tell

_READY_S = 120.0
_STOP_S = 30.0
_LOCK_S = 3600.0
_ASK_S = 0.1


class LocalEngines:
    """The engines whose data is below one folder."""

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self._folder = folder
        self._ports = ports

    def up(self, names: Sequence[str]) -> None:
        """Start what does not run yet and wait until each answers.

        Raises:
            EngineError: at least one could not be started; the others run.
        """
        if sys.platform != "linux":
            raise EngineError("engines as processes need Linux; here, start a container engine")
        self._for_each(names, self._up)
        environment.write(self._folder, self.settings())

    def down(self, names: Sequence[str]) -> None:
        """Stop what was started from here."""
        if self._folder.is_dir():
            self._for_each(names, _down)
            environment.write(self._folder, self.settings())

    def kill(self, names: Sequence[str]) -> None:
        """End what was started from here without asking, as a power cut would."""
        if self._folder.is_dir():
            self._for_each(names, _kill)
            environment.write(self._folder, self.settings())

    def status(self, names: Sequence[str]) -> dict[str, State]:
        """Return the state of each."""
        return {name: _state(self._engine(name)) for name in names}

    def settings(self) -> dict[str, str]:
        """Return the settings of all that run."""
        states = self.status(list(ENGINES)).values()
        return {each.setting: each.url for each in states if each.condition != Condition.STOPPED}

    def _engine(self, name: str) -> Engine:
        """One that runs is asked where it runs; the port matters for one that is to start."""
        folder, engine = self._folder / name, ENGINES[name]
        process = recorded(folder)
        default = process.port if process else engine.default_port
        return engine(folder, self._ports.get(name, default))

    def _for_each(self, names: Sequence[str], work: Callable[[Engine], None]) -> None:
        with (
            locked(self._folder / "lock", wait_s=_LOCK_S, on_wait=self._waits),
            ThreadPoolExecutor(len(names)) as threads,
        ):
            working = [threads.submit(work, self._engine(name)) for name in names]
        _raise_failures(names, working)

    def _waits(self) -> None:
        tell(f"another start is at work in {self._folder}; waiting for its end")

    def _up(self, engine: Engine) -> None:
        process, began_s = recorded(engine.folder), time.monotonic()
        if process is None:
            process = _start(engine)
        elif process.port != engine.port:
            raise PortTakenError(
                f"it runs on port {process.port} already; stop it first to use {engine.port}"
            )
        _wait_until_ready(engine, process)
        seconds = time.monotonic() - began_s
        engine.tell(f"ready on port {engine.port} after {seconds:.1f} s")


def _start(engine: Engine) -> Process:
    for port in engine.ports:
        refuse_taken(engine.name, port, engine.port)
    engine.install()
    engine.prepare()
    user = engine.user()
    return start(
        engine.folder,
        engine.command(),
        port=engine.port,
        working_folder=engine.working_folder,
        user=user.uid if user else None,
        group=user.gid if user else None,
        environment=engine.environment(),
    )


def _wait_until_ready(engine: Engine, process: Process) -> None:
    give_up_s = time.monotonic() + _READY_S
    while not _is_ready(engine):
        if not process.is_running():
            raise NotReadyError(
                f"it ended; mend this, or begin anew without {engine.folder}, and try again:\n"
                f"{log_tail(engine.folder)}"
            )
        if time.monotonic() > give_up_s:
            stop(process, ask_with=engine.ask_to_end_with, wait_s=_STOP_S)
            raise NotReadyError(
                f"no answer in {_READY_S:.0f} s, stopped again; mend this and try again:\n"
                f"{log_tail(engine.folder)}"
            )
        time.sleep(_ASK_S)


def _down(engine: Engine) -> None:
    process = recorded(engine.folder)
    if process is None:
        engine.tell("not running")
        return
    stop(process, ask_with=engine.ask_to_end_with, wait_s=_STOP_S)
    engine.tell("stopped")


def _kill(engine: Engine) -> None:
    process = recorded(engine.folder)
    if process is None:
        engine.tell("not running")
        return
    kill(process.pid)
    engine.tell("killed")


def _state(engine: Engine) -> State:
    process = recorded(engine.folder)
    if process is None:
        return State(Condition.STOPPED, engine.setting, engine.url)
    condition = Condition.READY if _is_ready(engine) else Condition.STARTING
    return State(condition, engine.setting, engine.url, process.pid)


def _is_ready(engine: Engine) -> bool:
    try:
        return engine.is_ready()
    except OSError:
        return False


def _raise_failures(names: Sequence[str], working: Sequence[Future[None]]) -> None:
    failures = []
    for name, work in zip(names, working, strict=True):
        error = work.exception()
        if isinstance(error, EngineError):
            failures.append(f"{name}: {error}")
        elif error is not None:
            raise error
    if failures:
        raise EngineError("\n".join(failures))
