"""Watches what bounds an idle system tells, and prints how large they become.

    python benchmarks/idle.py [--seconds 600] [--engines] [--record]

Nothing is written, and one client asks twenty times a second for documents and for search. A bound
then says only how long ago the source was asked and the answer was overtaken by a tick: below three
heartbeats of 100 ms where all goes well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.client import Connection
from benchmarks.record import record
from tests.end_to_end.harness import running
from tests.engines import engine_settings
from tests.faults.oracle.verdicts import Sample

QUERY = '{ customers(first: 1) { edges { cursor } } search(text: "idle") { totalCount } }'
INTERVAL_S = 0.05
READY_S = 180.0


async def watched(port: int, seconds: float) -> dict[str, Any]:
    """Ask for so long; return the bounds told, in milliseconds, by path."""
    connection, bounds_ms = Connection(port), {"customers": Sample(), "search": Sample()}
    unknown, end_s = 0, time.monotonic() + seconds
    while time.monotonic() < end_s:
        answer = await connection.ask(QUERY, {})
        for entry in answer["extensions"]["freshness"]["fields"]:
            if entry["maxStalenessMs"] is None:
                unknown += 1
            else:
                bounds_ms[entry["path"][0]].add(entry["maxStalenessMs"])
        await asyncio.sleep(INTERVAL_S)
    connection.close()
    return {
        "seconds": seconds,
        "asked": bounds_ms["customers"].count,
        "unknown": unknown,
        "bound_ms": {path: each.percentiles() for path, each in bounds_ms.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    settings = engine_settings() if options.engines else {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        running(
            Path(scratch) / "data", "--processes", settings=settings, ready_s=READY_S
        ) as installation,
    ):
        time.sleep(5)  # what starting costs is over
        found = asyncio.run(watched(installation.port, options.seconds))
    print(json.dumps(found, indent=2))
    if options.record:
        record("idle", f"idle-{'engines' if options.engines else 'embedded'}", found)


if __name__ == "__main__":
    main()
