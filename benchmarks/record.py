"""Records what a benchmark found, with the command that made it."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def record(program: str, name: str, results: Mapping[str, Any]) -> None:
    """Write results to `benchmarks/results/<name>.json`."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    started_as = f"-m benchmarks.{program}" if "-m" in sys.orig_argv else f"benchmarks/{program}.py"
    facts = {
        "command": " ".join(["python", started_as, *sys.argv[1:]]),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    path.write_text(json.dumps({**facts, **results}, indent=2) + "\n")
    print(f"recorded in {path}")
