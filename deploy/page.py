"""Pages of the reference that are made of the code: written, or checked against it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def write_or_check(program: str, page: str) -> int:
    """Write the page where the command line says, or compare it; return the exit code."""
    arguments = _parser(program).parse_args()
    path: Path = arguments.path
    if not arguments.check:
        path.write_text(page)
    elif not path.exists() or path.read_text() != page:
        sys.stderr.write(f"{path} differs from the code; run `make reference` and commit it\n")
        return 1
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("path", type=Path)
    parser.add_argument("--check", action="store_true", help="fail when the file differs")
    return parser
