"""`python -m deploy.model [--larger] [MODEL …]`: a line for each run, and the exit status."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.engines.errors import EngineError
from deploy.engines.tell import tell
from deploy.model.runs import Run, read_runs
from deploy.model.tlc import Tlc

_FOLDER = Path(__file__).parents[2] / "docs" / "model"


def main(arguments: Sequence[str]) -> int:
    """Check what is asked for; return 0 when every run went as it must."""
    asked = _parser().parse_args(arguments)
    runs = [
        run
        for run in read_runs(_FOLDER)
        if run.larger == asked.larger and (not asked.models or run.model in asked.models)
    ]
    if not runs:
        tell("there is no such run; docs/model/runs.toml lists them")
        return 1
    try:
        tlc = Tlc.fetched(deadline_s=asked.deadline_s)
        outcomes = [_check(tlc, run) for run in runs]
    except EngineError as error:
        tell(str(error))
        return 1
    return 0 if all(outcomes) else 1


def _check(tlc: Tlc, run: Run) -> bool:
    began_s = time.monotonic()
    verdict = tlc.check(run, _FOLDER)
    seconds = time.monotonic() - began_s
    is_met = run.is_met_by(verdict)
    mark = "ok  " if is_met else "FAIL"
    sys.stdout.write(f"{mark} {run.title}: {verdict.text}, {seconds:.0f} s\n")
    if not is_met:
        sys.stdout.write(f"{run.expectation}; TLC said:\n{verdict.output}")
    sys.stdout.flush()
    return is_met


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.model", description="Check the TLA+ models of docs/model with TLC."
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="such as Freshness; else all")
    parser.add_argument(
        "--larger", action="store_true", help="the larger sizes, each until the deadline"
    )
    parser.add_argument(
        "--deadline-s", type=float, default=600.0, help="when a run is given up (600)"
    )
    return parser
