"""The oracle by hand: `python -m tests.faults.oracle --requests 100000 --folder …`.

Each leg is an installation of its own, watched for some thousands of requests; its figures are
appended to `legs.jsonl` in the folder, and the same command goes on behind the last one. A leg's
seed is the first seed plus its number. `--engines` uses those that the environment names, and
`--engines postgresql,kafka` only these: what has no engine is embedded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.engines import NAMES, engine_settings, missing
from tests.faults.oracle.faults import faults_of
from tests.faults.oracle.verdicts import Verdict
from tests.faults.oracle.watch import Plan, watching, writes_a_second

_LEG_TIMEOUT_S = 3_600


async def leg(folder: Path, plan: Plan, *, engines: Sequence[str]) -> dict[str, Any]:
    """Watch one installation; return what was found."""
    began_s = time.monotonic()
    settings = engine_settings(engines) if engines else None
    async with watching(folder, plan, settings) as watch, asyncio.timeout(_LEG_TIMEOUT_S):
        tally = await watch.run()
    for check in tally.violations:
        print("VIOLATED", check, flush=True)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seed": plan.seed,
        "took_s": round(time.monotonic() - began_s, 1),
        "plan": asdict(plan),
        "engines": list(engines),
        "writes_a_second": watch.writes_a_second,
        **tally.summary(),
        "tokens": watch.tokens.summary(),
    }


def _commit() -> str:
    """Return which state of the code was watched, as far as it is committed."""
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, check=False)
    return told.stdout.decode().strip()


def total(legs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add the counts of all legs."""
    verdicts: Counter[str] = sum((Counter(each["verdicts"]) for each in legs), Counter())
    by_fault: dict[str, Counter[str]] = {}
    for each in legs:
        for fault, counts in each["by_fault"].items():
            by_fault[fault] = by_fault.get(fault, Counter()) + Counter(counts)
    for counts in by_fault.values():
        counts.pop(Verdict.NO_BOUND, None)  # nothing was claimed, so nothing was checked
    return {
        "legs": len(legs),
        "requests": sum(each["requests"] for each in legs),
        **{
            name: sum(each.get(name, 0) for each in legs)
            for name in ("refused", "uncovered", "untimely", "phantoms", "rounds")
        },
        "checks": sum(each["checks"] for each in legs),
        "verdicts": dict(verdicts),
        "token_reads": sum(sum(each["tokens"]["reads"].values()) for each in legs),
        "token_misses": sum(sum(each["tokens"]["misses"].values()) for each in legs),
        "checks_by_fault": {fault: counts.total() for fault, counts in sorted(by_fault.items())},
        "violations_by_fault": {
            fault: counts["VIOLATED"] for fault, counts in by_fault.items() if counts["VIOLATED"]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--requests-a-leg", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--rate", type=float, help="writes a second")
    parser.add_argument("--only-orders", action="store_true", help="write nothing else")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument(
        "--reads", type=float, help="reads a second; as many as can be if not given"
    )
    parser.add_argument("--faults", help="names with commas; empty for none, all if not given")
    parser.add_argument("--token-clients", type=int, default=2)
    parser.add_argument("--off", default="", help="safeguards that are off")
    parser.add_argument("--on", default="", help="switches that are on, such as slow-projectors")
    parser.add_argument(
        "--engines", nargs="?", const=",".join(NAMES), default="", help="all, or some with commas"
    )
    options = parser.parse_args()
    engines = [*filter(None, options.engines.split(","))]
    for reason in filter(None, map(missing, engines)):
        parser.error(reason)
    # Whoever ends this, too, must not leave a running installation behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    everything = faults_of(engines=engines)
    faults = everything if options.faults is None else [*filter(None, options.faults.split(","))]
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "legs.jsonl"
    legs = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    while (done := sum(each["requests"] for each in legs)) < options.requests:
        plan = Plan(
            seed=options.seed + len(legs),
            requests=min(options.requests_a_leg, options.requests - done),
            readers=options.readers,
            reads_a_second=options.reads,
            only_orders=options.only_orders,
            writes_a_second=options.rate or writes_a_second(engines=bool(engines)),
            token_clients=options.token_clients,
            faults=faults,
            safeguards_off=[*filter(None, options.off.split(","))],
            switches_on=[*filter(None, options.on.split(","))],
            ends_with_a_violation=bool(options.off),
        )
        print(f"leg {len(legs)}: {plan}", flush=True)
        with tempfile.TemporaryDirectory(prefix="oracle-") as scratch:
            found = asyncio.run(leg(Path(scratch), plan, engines=engines))
        legs.append(found)
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(json.dumps(found, indent=1), flush=True)
    found = total(legs)
    print(json.dumps(found, indent=1))
    wrong = ("uncovered", "untimely", "phantoms", "token_misses")
    sys.exit(bool(found["verdicts"].get("VIOLATED") or any(found[name] for name in wrong)))


if __name__ == "__main__":
    main()
