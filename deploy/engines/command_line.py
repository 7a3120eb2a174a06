"""`python -m deploy.engines …`: settings on standard output, news on standard error."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from deploy.engines import environment
from deploy.engines.containers import ContainerEngines, container_engine_answers
from deploy.engines.errors import EngineError
from deploy.engines.local import LocalEngines
from deploy.engines.roster import ENGINES
from deploy.engines.tell import tell

_FOLDER = ".slackwater-engines"
_PORT_MAX = 65_535
_INTERRUPTED = 130

Engines = LocalEngines | ContainerEngines


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    asked = _parser().parse_args(arguments)
    folder = Path(os.environ.get("SLACKWATER_ENGINES_DIR", _FOLDER)).resolve()
    kind = ContainerEngines if container_engine_answers() else LocalEngines
    try:
        _COMMANDS[asked.command](kind(folder, dict(asked.port)), folder, asked)
    except EngineError as error:
        tell(str(error))
        return 1
    except KeyboardInterrupt:
        tell("interrupted; what was started runs on, `down` stops it")
        os._exit(_INTERRUPTED)  # threads at work would be waited for
    return 0


def _up(engines: Engines, folder: Path, asked: argparse.Namespace) -> None:
    began_s = time.monotonic()
    engines.up(asked.names or list(ENGINES))
    settings = engines.settings()
    seconds = time.monotonic() - began_s
    tell(f"ready after {seconds:.1f} s; for a shell: . {folder}/{environment.FILE}")
    sys.stdout.write(json.dumps(settings) + "\n" if asked.json else environment.lines(settings))


def _down(engines: Engines, _: Path, asked: argparse.Namespace) -> None:
    engines.down(asked.names or list(ENGINES))


def _kill(engines: Engines, _: Path, asked: argparse.Namespace) -> None:
    engines.kill(asked.names or list(ENGINES))


def _status(engines: Engines, folder: Path, asked: argparse.Namespace) -> None:
    states = engines.status(asked.names or list(ENGINES))
    if asked.json:
        shown = {name: asdict(state) for name, state in states.items()}
        sys.stdout.write(json.dumps({"folder": str(folder), "engines": shown}) + "\n")
        return
    for name, state in states.items():
        sys.stdout.write(f"{name:<14} {state.condition:<9} {state.url}\n")


_COMMANDS = {"up": _up, "down": _down, "kill": _kill, "status": _status}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.engines",
        description="Real engines on loopback, for tests and trials. Data is below "
        f"{_FOLDER}/ or the folder in SLACKWATER_ENGINES_DIR.",
    )
    parser.add_argument(
        "command", choices=_COMMANDS, help="start, stop, kill -9, or tell how they are"
    )
    parser.add_argument("names", nargs="*", metavar="name", type=_name, help=", ".join(ENGINES))
    parser.add_argument(
        "--port", action="append", default=[], type=_port, metavar="NAME=PORT",
        help="another port for an engine; may be repeated",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


def _name(text: str) -> str:
    if text not in ENGINES:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(ENGINES)}")
    return text


def _port(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    if not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not like kafka=19092")
    return _name(name), int(port)
