"""Rebuilds a read model of a large installation under traffic, and watches both versions.

    python benchmarks/rebuild.py --folder /var/tmp/volume [--clients 4] [--engines] [--record]

The folder is one that `benchmarks/volume.py` has filled. Clients place orders without a pause while
`slackwater rebuild` folds the whole log anew; what readers are told about the version in use is
sampled meanwhile. At the end the old version is dropped and `slackwater verify` compares all.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.record import record
from benchmarks.volume import Sample, Volume, installation_options, storage_settings

LOOK_S = 2.0


async def rebuilt(volume: Volume, name: str, clients: int) -> dict[str, Any]:
    """Rebuild one read model under the traffic of so many clients; return what was seen."""
    async with volume.ready():
        began_s = time.monotonic()
        async with volume.traffic(clients):
            before = await volume.sample("rebuilding")
            building = asyncio.create_task(
                asyncio.to_thread(volume.command, "rebuild", name, "--json")
            )
            looks = await _looked(volume, building)
            reports = [json.loads(line) for line in building.result().splitlines()]
            took_s = time.monotonic() - began_s
        await volume.settle()
    lags = [look["lag_events"][name] for look in looks]
    known_ms = [ms for look in looks if (ms := look["bound_ms"][name]) is not None]
    folded = reports[-1]["events_done"] - reports[0]["events_done"]
    return {
        "read_model": name,
        "clients": clients,
        "version": reports[-1]["version"],
        "switched": reports[-1]["active"],
        "events_folded": folded,
        "events_meanwhile": looks[-1]["events"] - before["events"],
        "took_s": round(took_s, 1),
        "events_a_second": round(folded / took_s),
        "bound_ms_median_max": [statistics.median(known_ms), max(known_ms)] if known_ms else None,
        "bound_unknown": len(looks) - len(known_ms),
        "looks": len(looks),
        "lag_events_max": max((each for each in lags if each is not None), default=None),
    }


async def _looked(volume: Volume, building: asyncio.Task[str]) -> list[Sample]:
    """Look every few seconds until the rebuild is done, and once behind it."""
    looks = []
    while not building.done():
        await asyncio.wait([building], timeout=LOOK_S)
        looks.append(await volume.sample("rebuilding"))
    return looks


def main() -> None:
    parser = installation_options(__doc__)
    parser.add_argument("--read-model", default="customer_orders")
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    volume = Volume(options.folder, storage_settings(engines=options.engines))
    try:
        found = asyncio.run(rebuilt(volume, options.read_model, options.clients))
        found["verified_equal"] = volume.verified().count(": equal")
        print(json.dumps(found, indent=2))
        if options.record:
            storage = "engines" if options.engines else "embedded"
            record("rebuild", f"rebuild-{storage}", found)
        print(volume.command("rebuild", options.read_model, "--drop-old"))
    finally:
        volume.stop()


if __name__ == "__main__":
    main()
